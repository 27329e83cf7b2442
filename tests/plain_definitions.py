"""Every metric once more, slow and obvious: one pair of series, double precision, nothing shared and nothing saved.

The agreement tests hold the package to these lines, and the site shows them as the formula of the metric. A function
bears the name of its metric; ``x`` is the therapist's series, ``y`` the client's: analytic signals, or real ones where
the metric takes real signals.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata


def plv(x, y):
    return abs(np.mean(np.exp(1j * (np.angle(x) - np.angle(y)))))


def ciplv(x, y):
    mean = np.mean(np.exp(1j * (np.angle(x) - np.angle(y))))
    return abs(mean.imag) / np.sqrt(1 - mean.real**2)


def ppc(x, y):
    difference = np.angle(x) - np.angle(y)
    cosines = np.cos(difference[:, None] - difference)
    n = len(x)
    return (cosines.sum() - n) / (n * (n - 1))


def ccorr(x, y):
    p, q = np.angle(x), np.angle(y)
    s = np.sin(p - np.angle(np.mean(np.exp(1j * p))))
    t = np.sin(q - np.angle(np.mean(np.exp(1j * q))))
    return np.sum(s * t) / np.sqrt(np.sum(s**2) * np.sum(t**2))


def accorr(x, y):
    p, q = np.angle(x), np.angle(y)
    minus, plus = np.sum(np.exp(1j * (p - q))), np.sum(np.exp(1j * (p + q)))
    n = (np.angle(plus) - np.angle(minus)) / 2
    m = np.angle(minus) + n
    return (abs(minus) - abs(plus)) / (2 * np.sqrt(np.sum(np.sin(p - m) ** 2) * np.sum(np.sin(q - n) ** 2)))


def nmplv(x, y):
    return abs(np.mean(np.exp(1j * (np.angle(x) - 2 * np.angle(y)))))


def pli(x, y):
    return abs(np.mean(np.sign((x * y.conj()).imag)))


def wpli(x, y):
    imaginary = (x * y.conj()).imag
    return abs(np.sum(imaginary)) / np.sum(abs(imaginary))


def dwpli(x, y):
    imaginary = (x * y.conj()).imag
    products = np.outer(imaginary, imaginary)
    np.fill_diagonal(products, 0)
    return products.sum() / abs(products).sum()


def coherency(x, y):
    return np.mean(x * y.conj()) / np.sqrt(np.mean(abs(x) ** 2) * np.mean(abs(y) ** 2))


def coh(x, y):
    return abs(coherency(x, y))


def imcoh(x, y):
    return coherency(x, y).imag


def lagcoh(x, y):
    c = coherency(x, y)
    return np.sqrt(c.imag**2 / (1 - c.real**2))


def aec(x, y):
    return np.corrcoef(abs(x), abs(y))[0, 1]


def oaec(x, y):
    def one_way(own, other):
        return np.corrcoef(abs((other * own.conj() / abs(own)).imag), abs(own))[0, 1]

    return (one_way(x, y) + one_way(y, x)) / 2


def pec(x, y):
    return np.corrcoef(abs(x) ** 2, abs(y) ** 2)[0, 1]


def corr(x, y):
    return np.corrcoef(x, y)[0, 1]


def normal_scores(x):
    return ndtri(rankdata(x) / (len(x) + 1))


def gcmi(x, y):
    c = np.corrcoef([normal_scores(part) for part in (x.real, x.imag, y.real, y.imag)])
    return 0.5 * np.log2(np.linalg.det(c[:2, :2]) * np.linalg.det(c[2:, 2:]) / np.linalg.det(c))


def gcte(x, y, sfreq):
    lag = round(0.1 * sfreq)
    now, own, other = normal_scores(y[lag:]), normal_scores(y[:-lag]), normal_scores(x[:-lag])
    c = np.cov([now, own, other])

    def det(*rows):
        return np.linalg.det(c[np.ix_(rows, rows)])

    return 0.5 * np.log2(det(0, 1) * det(1, 2) / (c[1, 1] * det(0, 1, 2)))


def by_lag(x, y, reach):
    x, y = ((z - z.mean()) / z.std() for z in (x, y))
    n = len(x)
    return {
        k: np.sum(x[max(0, -k) : n - max(0, k)] * y[max(0, k) : n + min(0, k)]) / n for k in range(-reach, reach + 1)
    }


def xcorr(x, y, sfreq, max_lag_s):
    return max(by_lag(x, y, round(max_lag_s * sfreq)).values(), key=abs)


def xcorr_lag(x, y, sfreq, max_lag_s):
    curve = by_lag(x, y, round(max_lag_s * sfreq))
    return max(curve, key=lambda k: abs(curve[k])) / sfreq


def news(x, longest):
    """Errors of the autoregressive model (Burg) of the order that the Bayesian criterion chooses, in robust units."""
    n = len(x)
    ahead = behind = x - x.mean()
    variance = np.mean(ahead**2)
    lowest, best = n * np.log(variance), ahead
    for order in range(1, longest + 1):
        ahead, behind = ahead[1:], behind[:-1]
        k = 2 * np.sum(ahead * behind) / np.sum(ahead**2 + behind**2)
        ahead, behind = ahead - k * behind, behind - k * ahead
        variance *= 1 - k**2
        if n * np.log(variance) + order * np.log(n) < lowest:
            lowest, best = n * np.log(variance) + order * np.log(n), ahead
    best = best[-(n - longest) :]
    centred = best - np.median(best)
    return centred / (1.4826 * np.median(abs(centred)))


def ar_corr(x, y, sfreq):
    longest = min(round(4 * sfreq), len(x) // 4)
    u, v = news(x, longest), news(y, longest)
    r = 0.0
    for _ in range(200):
        distance = (u**2 - 2 * r * u * v + v**2) / (1 - r**2)
        weight = np.maximum(1 - distance / 4.685**2, 0) ** 2
        c = np.cov(u, v, aweights=weight)
        r = c[0, 1] / np.sqrt(c[0, 0] * c[1, 1])
    return r


def wavelet(x, scales, sfreq):
    """Complex Morlet coefficients, one scale after the other."""
    length = 2 * len(x)
    spectrum = np.fft.fft(x - x.mean(), length)
    omega = 2 * np.pi * np.fft.fftfreq(length, 1 / sfreq)
    rows = []
    for scale in scales:
        daughter = np.sqrt(2 * np.pi * scale * sfreq) * np.pi**-0.25 * np.exp(-((scale * omega - 6) ** 2) / 2)
        rows.append(np.fft.ifft(spectrum * daughter * (omega > 0))[: len(x)])
    return np.array(rows)


def smoothed(product, scales, sfreq):
    """A Gaussian of the scale's length along time, a boxcar of .6 octave along scale."""
    n = product.shape[1]
    omega = 2 * np.pi * np.fft.fftfreq(2 * n)
    rows = [
        np.fft.ifft(np.fft.fft(row, 2 * n) * np.exp(-((scale * sfreq * omega) ** 2) / 2))[:n]
        for row, scale in zip(product, scales, strict=True)
    ]
    return np.apply_along_axis(np.convolve, 0, np.array(rows), np.array([0.6, 1, 1, 1, 1, 1, 1, 1, 0.6]) / 8.2, "same")


def coherence_map(x, y, sfreq, periods):
    """Squared coherence and phase by period and time."""
    scales = periods * (6 + np.sqrt(38)) / (4 * np.pi)
    u, v = wavelet(x, scales, sfreq), wavelet(y, scales, sfreq)
    cross = smoothed(u * v.conj() / scales[:, None], scales, sfreq)
    power_x, power_y = (smoothed(abs(w) ** 2 / scales[:, None], scales, sfreq).real for w in (u, v))
    return abs(cross) ** 2 / (power_x * power_y), np.angle(cross)


def cells_of_band(x, y, sfreq, band):
    """Squared coherence and phase of a band inside the cone: 12 periods per octave, one of them 10 s."""
    first, last = np.ceil(-12 * np.log2(10 * band[1]) - 1e-9), np.floor(-12 * np.log2(10 * band[0]) + 1e-9)
    steps = np.arange(first - 4, last + 5)  # the smoothing along scale continues past both edges
    r2, phase = (each[4:-4] for each in coherence_map(x, y, sfreq, 10 * 2 ** (steps / 12)))
    n = len(x)
    from_end = (n / 2 - abs(np.arange(n) - (n - 1) / 2)) / sfreq
    cone = 4 * np.pi / (6 + np.sqrt(38)) * from_end / np.sqrt(2)
    inside = (10 * 2 ** (steps[4:-4] / 12))[:, None] <= cone
    return r2[inside], phase[inside]


def wtc(x, y, sfreq, band):
    return np.mean(cells_of_band(x, y, sfreq, band)[0])


def wtc_in_phase(x, y, sfreq, band):
    return np.mean(abs(cells_of_band(x, y, sfreq, band)[1]) <= np.pi / 4)


def wtc_therapist_leads(x, y, sfreq, band):
    phase = cells_of_band(x, y, sfreq, band)[1]
    return np.mean((phase > np.pi / 4) & (phase < 3 * np.pi / 4))


def wtc_client_leads(x, y, sfreq, band):
    phase = cells_of_band(x, y, sfreq, band)[1]
    return np.mean((phase < -np.pi / 4) & (phase > -3 * np.pi / 4))


def wtc_anti_phase(x, y, sfreq, band):
    return np.mean(abs(cells_of_band(x, y, sfreq, band)[1]) >= 3 * np.pi / 4)


def whitened_cross(x, y):
    def root(z):
        z = z / np.sqrt(np.mean(np.abs(z) ** 2, axis=1, keepdims=True))
        values, vectors = np.linalg.eigh((z @ z.conj().T).real / z.shape[1])
        return vectors @ np.diag(values**-0.5) @ vectors.T @ z

    return root(x) @ root(y).conj().T / x.shape[1]


def mic(x, y):
    return np.linalg.norm(whitened_cross(x, y).imag, ord=2)


def mim(x, y):
    cross = whitened_cross(x, y)
    return np.trace(cross.imag @ cross.imag.T)


def cacoh(x, y):
    cross = whitened_cross(x, y)
    phases = np.linspace(0, np.pi, 2000)
    return max(np.linalg.norm((np.exp(-1j * phase) * cross).real, ord=2) for phase in phases)
