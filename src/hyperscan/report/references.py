"""The one bibliography: every paper that a metric or the methods text names, by its DOI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hyperscan.errors import InputError
from hyperscan.metrics import get_metric


@dataclass(frozen=True)
class Reference:
    """One entry of ``references.bib``."""

    #: What a text cites it by
    key: str
    doi: str
    #: BibTeX form, joined by ``and``
    authors: str
    #: As printed; volume and pages may be empty
    title: str
    journal: str
    year: str
    volume: str = ""
    pages: str = ""
    #: Kind of BibTeX entry
    kind: str = "article"

    @property
    def short(self) -> str:
        """``Lachaux et al., 1999``, as it appears in brackets."""
        names = [name.partition(",")[0] for name in self.authors.split(" and ")]
        several = f"{names[0]} et al." if len(names) > 2 or names[-1] == "others" else " and ".join(names)
        return f"{several}, {self.year}"

    @property
    def line(self) -> str:
        """The entry as a line of text, with its DOI."""
        names = self.authors.replace(" and others", " et al.").replace(" and ", "; ")
        where = ", ".join(part for part in (self.volume, self.pages.replace("--", "–")) if part)
        title = self.title.replace("{", "").replace("}", "")  # braces are BibTeX's
        return f"{names} ({self.year}). {title}. {f'{self.journal} {where}'.strip()}. doi:{self.doi}"

    @property
    def bibtex(self) -> str:
        """The entry as BibTeX."""
        named = {
            "author": self.authors, "title": f"{{{self.title}}}",
            {"article": "journal", "inproceedings": "booktitle"}.get(self.kind, "publisher"): self.journal,
            "year": self.year, "volume": self.volume, "pages": self.pages, "doi": self.doi,
        }  # fmt: skip
        lines = [f"  {name} = {{{value}}}," for name, value in named.items() if value]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])


_ENTRIES = (
    # metrics
    Reference(
        "lachaux1999", "10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C",
        "Lachaux, Jean-Philippe and Rodriguez, Eugenio and Martinerie, Jacques and Varela, Francisco J.",
        "Measuring phase synchrony in brain signals", "Human Brain Mapping", "1999", "8", "194--208",
    ),
    Reference(
        "bruna2018", "10.1088/1741-2552/aacfe4", "Bruña, Ricardo and Maestú, Fernando and Pereda, Ernesto",
        "Phase locking value revisited: teaching new tricks to an old dog",
        "Journal of Neural Engineering", "2018", "15", "056011",
    ),
    Reference(
        "tass1998", "10.1103/PhysRevLett.81.3291",
        "Tass, Peter and Rosenblum, Michael G. and Weule, Jörg and Kurths, Jürgen and Pikovsky, Arkady and Volkmann,"
        " Jens and Schnitzler, Alfons and Freund, Hans-Joachim",
        "Detection of n:m phase locking from noisy data: application to magnetoencephalography",
        "Physical Review Letters", "1998", "81", "3291--3294",
    ),
    Reference(
        "nunez1997", "10.1016/S0013-4694(97)00066-7",
        "Nunez, Paul L. and Srinivasan, Ramesh and Westdorp, Andrew F. and Wijesinghe, Ranjith S. and Tucker, Don M."
        " and Silberstein, Richard B. and Cadusch, Peter J.",
        "{EEG} coherency: {I}: statistics, reference electrode, volume conduction, {Laplacians}, cortical imaging, and"
        " interpretation at multiple scales",
        "Electroencephalography and Clinical Neurophysiology", "1997", "103", "499--515",
    ),
    Reference(
        "nolte2004", "10.1016/j.clinph.2004.04.029",
        "Nolte, Guido and Bai, Ou and Wheaton, Lewis and Mari, Zoltan and Vorbach, Sherry and Hallett, Mark",
        "Identifying true brain interaction from EEG data using the imaginary part of coherency",
        "Clinical Neurophysiology", "2004", "115", "2292--2307",
    ),
    Reference(
        "pascualmarqui2011", "10.1098/rsta.2011.0081",
        "Pascual-Marqui, Roberto D. and Lehmann, Dietrich and Koukkou, Martha and others",
        "Assessing interactions in the brain with exact low-resolution electromagnetic tomography",
        "Philosophical Transactions of the Royal Society A", "2011", "369", "3768--3784",
    ),
    Reference(
        "vinck2010", "10.1016/j.neuroimage.2010.01.073",
        "Vinck, Martin and van Wingerden, Marijn and Womelsdorf, Thilo and Fries, Pascal and Pennartz, Cyriel M. A.",
        "The pairwise phase consistency: a bias-free measure of rhythmic neuronal synchronization",
        "NeuroImage", "2010", "51", "112--122",
    ),
    Reference(
        "vinck2011", "10.1016/j.neuroimage.2011.01.055",
        "Vinck, Martin and Oostenveld, Robert and van Wingerden, Marijn and Battaglia, Francesco and Pennartz, Cyriel"
        " M. A.",
        "An improved index of phase-synchronization for electrophysiological data in the presence of volume-conduction,"
        " noise and sample-size bias",
        "NeuroImage", "2011", "55", "1548--1565",
    ),
    Reference(
        "stam2007", "10.1002/hbm.20346", "Stam, Cornelis J. and Nolte, Guido and Daffertshofer, Andreas",
        "Phase lag index: assessment of functional connectivity from multi channel EEG and MEG with diminished bias"
        " from common sources",
        "Human Brain Mapping", "2007", "28", "1178--1193",
    ),
    Reference(
        "burgess2013", "10.3389/fnhum.2013.00881", "Burgess, Adrian P.",
        "On the interpretation of synchronization in EEG hyperscanning studies: a cautionary note",
        "Frontiers in Human Neuroscience", "2013", "7", "881",
    ),
    Reference(
        "zimmermann2024", "10.1162/imag_a_00350",
        "Zimmermann, Marius and Schultz-Nielsen, Kathrine and Dumas, Guillaume and Konvalinka, Ivana",
        "Arbitrary methodological decisions skew inter-brain synchronization estimates in hyperscanning-{EEG} studies",
        "Imaging Neuroscience", "2024", "2", "1--19",
    ),
    Reference(
        "bruns2000", "10.1097/00001756-200005150-00029",
        "Bruns, Andreas and Eckhorn, Reinhard and Jokeit, Hennric and Ebner, Alois",
        "Amplitude envelope correlation detects coupling among incoherent brain signals",
        "NeuroReport", "2000", "11", "1509--1514",
    ),
    Reference(
        "hipp2012", "10.1038/nn.3101",
        "Hipp, Joerg F. and Hawellek, David J. and Corbetta, Maurizio and Siegel, Markus and Engel, Andreas K.",
        "Large-scale cortical correlation structure of spontaneous oscillatory activity",
        "Nature Neuroscience", "2012", "15", "884--890",
    ),
    Reference(
        "ince2017", "10.1002/hbm.23471",
        "Ince, Robin A. A. and Giordano, Bruno L. and Kayser, Christoph and Rousselet, Guillaume A. and Gross, Joachim"
        " and Schyns, Philippe G.",
        "A statistical framework for neuroimaging data analysis based on mutual information estimated via a {Gaussian}"
        " copula",
        "Human Brain Mapping", "2017", "38", "1541--1573",
    ),
    Reference(
        "pearson1895", "10.1098/rspl.1895.0041", "Pearson, Karl",
        "Note on regression and inheritance in the case of two parents",
        "Proceedings of the Royal Society of London", "1895", "58", "240--242",
    ),
    Reference(
        "boker2002", "10.1037/1082-989X.7.3.338",
        "Boker, Steven M. and Rotondo, Jennifer L. and Xu, Minquan and King, Kadijah",
        "Windowed cross-correlation and peak picking for the analysis of variability in the association between"
        " behavioral time series",
        "Psychological Methods", "2002", "7", "338--355",
    ),
    Reference(
        "santosa2017", "10.1117/1.JBO.22.5.055002",
        "Santosa, Hendrik and Aarabi, Ardalan and Perlman, Susan B. and Huppert, Theodore J.",
        "Characterization and correction of the false-discovery rates in resting state connectivity using functional"
        " near-infrared spectroscopy",
        "Journal of Biomedical Optics", "2017", "22", "055002",
    ),
    Reference(
        "grinsted2004", "10.5194/npg-11-561-2004",
        "Grinsted, Aslak and Moore, John C. and Jevrejeva, Svetlana",
        "Application of the cross wavelet transform and wavelet coherence to geophysical time series",
        "Nonlinear Processes in Geophysics", "2004", "11", "561--566",
    ),
    Reference(
        "mneconnectivity", "10.5281/zenodo.10278399",
        "Li, Adam and McCloy, Daniel and Larson, Eric and others",
        "{MNE-Connectivity}", "Zenodo", "2026", kind="software",
    ),
    Reference(
        "stam2012", "10.1016/j.neuroimage.2012.05.050",
        "Stam, Cornelis J. and van Straaten, Elisabeth C. W.",
        "Go with the flow: use of a directed phase lag index (dPLI) to characterize patterns of phase relations in a"
        " large-scale model of brain dynamics",
        "NeuroImage", "2012", "62", "1415--1428",
    ),
    Reference(
        "ewald2012", "10.1016/j.neuroimage.2011.11.084",
        "Ewald, Arne and Marzetti, Laura and Zappasodi, Filippo and Meinecke, Frank C. and Nolte, Guido",
        "Estimating true brain connectivity from EEG/MEG data invariant to linear and static transformations in"
        " sensor space",
        "NeuroImage", "2012", "60", "476--488",
    ),
    Reference(
        "vidaurre2019", "10.1016/j.neuroimage.2019.116009",
        "Vidaurre, Carmen and Nolte, Guido and de Vries, Ingmar E. J. and Gómez, Marisol and Boonstra, Tjeerd W. and"
        " Müller, Klaus-Robert and Villringer, Arno and Nikulin, Vadim V.",
        "Canonical maximization of coherence: A novel tool for investigation of neuronal interactions between two"
        " datasets",
        "NeuroImage", "2019", "201", "116009",
    ),
    Reference(
        "barnett2015", "10.1103/PhysRevE.91.040101", "Barnett, Lionel and Seth, Anil K.",
        "Granger causality for state-space models", "Physical Review E", "2015", "91", "040101",
    ),
    Reference(
        "winkler2016", "10.1109/TSP.2016.2531628",
        "Winkler, Irene and Panknin, Danny and Bartz, Daniel and Müller, Klaus-Robert and Haufe, Stefan",
        "Validity of time reversal for testing Granger causality",
        "IEEE Transactions on Signal Processing", "2016", "64", "2746--2760",
    ),
    Reference(
        "nolte2008", "10.1103/PhysRevLett.100.234101",
        "Nolte, Guido and Ziehe, Andreas and Nikulin, Vadim V. and Schlögl, Alois and Krämer, Nicole and others",
        "Robustly estimating the flow direction of information in complex physical systems",
        "Physical Review Letters", "2008", "100", "234101",
    ),
    # preparation
    Reference(
        "mne", "10.3389/fnins.2013.00267", "Gramfort, Alexandre and Luessi, Martin and Larson, Eric and others",
        "MEG and EEG data analysis with MNE-Python", "Frontiers in Neuroscience", "2013", "7", "267",
    ),
    Reference(
        "widmann2015", "10.1016/j.jneumeth.2014.08.002",
        "Widmann, Andreas and Schröger, Erich and Maess, Burkhard",
        "Digital filter design for electrophysiological data – a practical approach",
        "Journal of Neuroscience Methods", "2015", "250", "34--46",
    ),
    Reference(
        "perrin1989", "10.1016/0013-4694(89)90180-6",
        "Perrin, François and Pernier, Jacques and Bertrand, Olivier and Echallier, Jean-François",
        "Spherical splines for scalp potential and current density mapping",
        "Electroencephalography and Clinical Neurophysiology", "1989", "72", "184--187",
    ),
    Reference(
        "lee1999", "10.1162/089976699300016719", "Lee, Te-Won and Girolami, Mark and Sejnowski, Terrence J.",
        "Independent component analysis using an extended infomax algorithm for mixed subgaussian and supergaussian"
        " sources",
        "Neural Computation", "1999", "11", "417--441",
    ),
    Reference(
        "piontonachini2019", "10.1016/j.neuroimage.2019.05.026",
        "Pion-Tonachini, Luca and Kreutz-Delgado, Ken and Makeig, Scott",
        "{ICLabel}: an automated electroencephalographic independent component classifier, dataset, and website",
        "NeuroImage", "2019", "198", "181--197",
    ),
    Reference(
        "dharmaprani2016", "10.1109/EMBC.2016.7590828",
        "Dharmaprani, Dhani and Nguyen, Hoang K. and Lewis, Trent W. and others",
        "A comparison of independent component analysis algorithms and measures to discriminate between {EEG} and"
        " artifact components",
        "38th Annual International Conference of the IEEE Engineering in Medicine and Biology Society (EMBC)",
        "2016", pages="825--828", kind="inproceedings",
    ),
    Reference(
        "pollonini2014", "10.1016/j.heares.2013.11.007",
        "Pollonini, Luca and Olds, Cristen and Abaya, Homer and Bortfeld, Heather and Beauchamp, Michael S. and"
        " Oghalai, John S.",
        "Auditory cortex activation to natural speech and simulated cochlear implant speech measured with functional"
        " near-infrared spectroscopy",
        "Hearing Research", "2014", "309", "84--93",
    ),
    Reference(
        "fishburn2019", "10.1016/j.neuroimage.2018.09.025",
        "Fishburn, Frank A. and Ludlum, Ruth S. and Vaidya, Chandan J. and Medvedev, Andrei V.",
        "Temporal derivative distribution repair (TDDR): a motion correction method for fNIRS",
        "NeuroImage", "2019", "184", "171--179",
    ),
    Reference(
        "delpy1988", "10.1088/0031-9155/33/12/008",
        "Delpy, David T. and Cope, Mark and van der Zee, Pieter and Arridge, Simon and Wray, Susan and Wyatt, John",
        "Estimation of optical pathlength through tissue from direct time of flight measurement",
        "Physics in Medicine and Biology", "1988", "33", "1433--1442",
    ),
    Reference(
        "scholkmann2013", "10.1117/1.JBO.18.10.105004", "Scholkmann, Felix and Wolf, Martin",
        "General equation for the differential pathlength factor of the frontal human head depending on wavelength and"
        " age",
        "Journal of Biomedical Optics", "2013", "18", "105004",
    ),
    Reference(
        "saager2005", "10.1364/JOSAA.22.001874", "Saager, Rolf B. and Berger, Andrew J.",
        "Direct characterization and removal of interfering absorption trends in two-layer turbid media",
        "Journal of the Optical Society of America A", "2005", "22", "1874--1882",
    ),
    Reference(
        "barker2013", "10.1364/BOE.4.001366", "Barker, Jeffrey W. and Aarabi, Ardalan and Huppert, Theodore J.",
        "Autoregressive model based algorithm for correcting motion and serially correlated errors in fNIRS",
        "Biomedical Optics Express", "2013", "4", "1366--1379",
    ),
    # statistics
    Reference(
        "pustejovsky2018", "10.1080/07350015.2016.1247004", "Pustejovsky, James E. and Tipton, Elizabeth",
        "Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects models",
        "Journal of Business and Economic Statistics", "2018", "36", "672--683",
    ),
    Reference(
        "kuznetsova2017", "10.18637/jss.v082.i13",
        "Kuznetsova, Alexandra and Brockhoff, Per B. and Christensen, Rune H. B.",
        "lmerTest package: tests in linear mixed effects models",
        "Journal of Statistical Software", "2017", "82", "1--26",
    ),
    Reference(
        "nichols2002", "10.1002/hbm.1058", "Nichols, Thomas E. and Holmes, Andrew P.",
        "Nonparametric permutation tests for functional neuroimaging: a primer with examples",
        "Human Brain Mapping", "2002", "15", "1--25",
    ),
    Reference(
        "benjamini1995", "10.1111/j.2517-6161.1995.tb02031.x", "Benjamini, Yoav and Hochberg, Yosef",
        "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
        "Journal of the Royal Statistical Society: Series B", "1995", "57", "289--300",
    ),
    Reference(
        "schuirmann1987", "10.1007/BF01068419", "Schuirmann, Donald J.",
        "A comparison of the two one-sided tests procedure and the power approach for assessing the equivalence of"
        " average bioavailability",
        "Journal of Pharmacokinetics and Biopharmaceutics", "1987", "15", "657--680",
    ),
    Reference(
        "wagenmakers2007", "10.3758/BF03194105", "Wagenmakers, Eric-Jan",
        "A practical solution to the pervasive problems of p values",
        "Psychonomic Bulletin and Review", "2007", "14", "779--804",
    ),
    Reference(
        "sen1968", "10.1080/01621459.1968.10480934", "Sen, Pranab Kumar",
        "Estimates of the regression coefficient based on {Kendall}'s tau",
        "Journal of the American Statistical Association", "1968", "63", "1379--1389",
    ),
    Reference(
        "mann1945", "10.2307/1907187", "Mann, Henry B.", "Nonparametric tests against trend",
        "Econometrica", "1945", "13", "245--259",
    ),
)  # fmt: skip

#: Every paper by its DOI.
REFERENCES: Mapping[str, Reference] = MappingProxyType({entry.doi: entry for entry in _ENTRIES})

_BY_KEY = MappingProxyType({entry.key: entry for entry in _ENTRIES})


class Citations:
    """What a text cites, in order of first mention: nothing is listed that was not cited."""

    def __init__(self) -> None:
        self._cited: dict[str, Reference] = {}

    def __call__(self, key: str) -> str:
        """Cite a paper by its key; return how the text names it.

        Examples
        --------
        >>> cite = Citations()
        >>> cite("grinsted2004"), [entry.key for entry in cite.references]
        ('Grinsted et al., 2004', ['grinsted2004'])
        """
        return self._cite(_BY_KEY[key])

    def metric(self, name: str) -> str:
        """Cite what the metric's entry names: paper and software; a metric of another version cites nothing."""
        try:
            spec = get_metric(name)
        except InputError:
            return ""
        return "; ".join(self._cite(REFERENCES[doi]) for doi in (spec.citation, spec.software) if doi)

    def _cite(self, entry: Reference) -> str:
        return self._cited.setdefault(entry.key, entry).short

    @property
    def references(self) -> tuple[Reference, ...]:
        """Papers cited so far."""
        return tuple(self._cited.values())


def bibtex(references: Iterable[Reference]) -> str:
    """Return the content of ``references.bib``, in order of the keys.

    Examples
    --------
    >>> bibtex([REFERENCES["10.5194/npg-11-561-2004"]]).splitlines()[0]
    '@article{grinsted2004,'
    """
    return "\n\n".join(entry.bibtex for entry in sorted(references, key=lambda entry: entry.key)) + "\n"
