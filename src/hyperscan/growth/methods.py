"""The statistics of a growth analysis as a methods paragraph, with its references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyperscan.growth.result import GrowthResult

#: What the paragraph cites.
REFERENCES: Mapping[str, str] = {
    "lme4": "Bates, Mächler, Bolker & Walker (2015). J Stat Softw 67(1). doi:10.18637/jss.v067.i01",
    "lmerTest": "Kuznetsova, Brockhoff & Christensen (2017). J Stat Softw 82(13). doi:10.18637/jss.v082.i13",
    "satterthwaite": "Satterthwaite (1946). Biometrics Bulletin 2, 110-114. doi:10.2307/3002019",
    "flips": "Nichols & Holmes (2002). Hum Brain Mapp 15, 1-25. doi:10.1002/hbm.1058",
    "tost": "Schuirmann (1987). J Pharmacokinet Biopharm 15, 657-680. doi:10.1007/BF01068419",
    "bic": "Wagenmakers (2007). Psychon Bull Rev 14, 779-804. doi:10.3758/BF03194105",
    "theil_sen": "Sen (1968). J Am Stat Assoc 63, 1379-1389. doi:10.1080/01621459.1968.10480934",
    "kendall": "Mann (1945). Econometrica 13, 245-259. doi:10.2307/1907187",
}


def describe_methods(result: GrowthResult) -> str:
    """Say how growth was analysed, for the methods section of a paper.

    Examples
    --------
    >>> import pandas as pd
    >>> from hyperscan.growth import fit_growth
    >>> rows = [(d, s, (d * s) % 5 / 10) for d in range(1, 8) for s in range(1, 5)]
    >>> text = describe_methods(fit_growth(pd.DataFrame(rows, columns=["dyad", "session", "excess_z"])))
    >>> "capped at the number of dyads minus one" in text
    True
    """
    if result.one_dyad is not None:
        parts = [_one_dyad(result.one_dyad)]
        cited = ["theil_sen"] * (result.one_dyad["n_sessions"] > 2) + ["kendall"] * bool(result.one_dyad["tested"])
    elif result.primary["slope"] is None:
        parts, cited = [_outcome(result), "Fewer than two dyads had a slope, so no model was fitted."], []
    else:
        parts = [_outcome(result), _inference(result), _levels(result), _others(result)]
        cited = ["lme4", "satterthwaite", "lmerTest", "flips"]
        cited += ["tost"] if result.equivalence and result.equivalence["bound"] else []
        cited += ["bic"] if result.bayes_factor else []
    listed = "\n".join(f"- {REFERENCES[name]}" for name in cited)
    return "\n\n".join(text for text in (" ".join(part for part in parts if part), listed) if text)


def _one_dyad(found: Mapping[str, Any]) -> str:
    if found["n_sessions"] < 3:
        return "The single dyad has too few sessions for a description of its course."
    text = "The course of the single dyad was described by the Theil-Sen slope over time"
    if not found["tested"]:
        return text + "; it was not tested."
    how = "exact Mann-Kendall test" if found["exact"] else "Mann-Kendall test by random permutations, as values tie"
    return f"{text}, tested by the {how}."


def _outcome(result: GrowthResult) -> str:
    named = [str(result.primary[key]) for key in ("metric", "band", "roi", "task") if result.primary[key]]
    said = ", named in advance," if result.design["named"] else ""
    which = f" ({', '.join(named)}){said}" if named else ""
    averaged = " Runs of one session were averaged." if result.design["n_averaged"] else ""
    unit = result.design["unit"]
    axis = f"{unit}s" if result.design["time"] in ("session", "weeks") else f"the column {unit}"
    return f"The primary outcome{which} was {result.design['value']}, modelled over {axis}.{averaged}"


def _inference(result: GrowthResult) -> str:
    flips = "all sign flips" if result.sign_flip["exact"] else f"{result.sign_flip['n_flips']:,} random sign flips"
    return (
        "Growth was the fixed slope of a linear mixed model with correlated random intercepts and slopes "
        "per dyad, fitted by restricted maximum likelihood, tested with Satterthwaite degrees of freedom "
        "capped at the number of dyads minus one; singular fits were kept and flagged. Beside it stand the "
        f"dyads' least-squares slopes, by a one-sample t test and by {flips} of them. A change was claimed "
        "only where mixed model and t test agreed at two-sided p < .05."
    )


def _levels(result: GrowthResult) -> str:
    level = result.therapist_level
    if not level["known"]:
        return "Therapists were not named in the table, so dyads were taken as independent."
    if level["needed"]:
        return "As therapists saw several dyads, the therapists' mean slopes had to differ from zero as well."
    return ""


def _others(result: GrowthResult) -> str:
    text = ""
    if len(result.exploratory) > 1:
        text = (
            f"The {len(result.exploratory) - 1} other outcomes were exploratory; their p values were "
            "corrected by the maximum statistic over joint sign flips of each dyad's slopes."
        )
    if result.equivalence and result.equivalence["bound"]:
        bound = f"{result.equivalence['bound']:g} per {result.design['unit']}"
        text += f" Absence of growth was tested by two one-sided tests against a slope of {bound}."
    if result.bayes_factor:
        text += (
            " A rough Bayes factor for no growth came from the BIC of maximum-likelihood fits with and without a slope."
        )
    return text.strip()
