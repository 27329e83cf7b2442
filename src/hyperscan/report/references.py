"""The literature that the methods paragraph cites. Only entries whose DOI is certain stand here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Reference:
    """One entry of ``references.bib``."""

    #: BibTeX form, joined by ``and``
    authors: str
    #: As printed; volume and pages may be empty
    title: str
    journal: str
    year: str
    volume: str
    pages: str
    doi: str

    @property
    def short(self) -> str:
        """``Lachaux et al. (1999)``."""
        names = [name.partition(",")[0] for name in self.authors.split(" and ")]
        several = f"{names[0]} et al." if len(names) > 2 or names[-1] == "others" else " and ".join(names)
        return f"{several} ({self.year})"


REFERENCES: Mapping[str, Reference] = MappingProxyType(
    {
        "mne": Reference(
            "Gramfort, Alexandre and Luessi, Martin and Larson, Eric and others",
            "MEG and EEG data analysis with MNE-Python",
            "Frontiers in Neuroscience", "2013", "7", "267", "10.3389/fnins.2013.00267",
        ),
        "lachaux1999": Reference(
            "Lachaux, Jean-Philippe and Rodriguez, Eugenio and Martinerie, Jacques and Varela, Francisco J.",
            "Measuring phase synchrony in brain signals",
            "Human Brain Mapping", "1999", "8", "194--208",
            "10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C",
        ),
        "bruna2018": Reference(
            "Bruña, Ricardo and Maestú, Fernando and Pereda, Ernesto",
            "Phase locking value revisited: teaching new tricks to an old dog",
            "Journal of Neural Engineering", "2018", "15", "056011", "10.1088/1741-2552/aacfe4",
        ),
        "nolte2004": Reference(
            "Nolte, Guido and Bai, Ou and Wheaton, Lewis and Mari, Zoltan and Vorbach, Sherry and Hallett,"
            " Mark",
            "Identifying true brain interaction from EEG data using the imaginary part of coherency",
            "Clinical Neurophysiology", "2004", "115", "2292--2307", "10.1016/j.clinph.2004.04.029",
        ),
        "vinck2010": Reference(
            "Vinck, Martin and van Wingerden, Marijn and Womelsdorf, Thilo and Fries, Pascal and Pennartz,"
            " Cyriel M. A.",
            "The pairwise phase consistency: a bias-free measure of rhythmic neuronal synchronization",
            "NeuroImage", "2010", "51", "112--122", "10.1016/j.neuroimage.2010.01.073",
        ),
        "vinck2011": Reference(
            "Vinck, Martin and Oostenveld, Robert and van Wingerden, Marijn and Battaglia, Francesco and"
            " Pennartz, Cyriel M. A.",
            "An improved index of phase-synchronization for electrophysiological data in the presence of"
            " volume-conduction, noise and sample-size bias",
            "NeuroImage", "2011", "55", "1548--1565", "10.1016/j.neuroimage.2011.01.055",
        ),
        "stam2007": Reference(
            "Stam, Cornelis J. and Nolte, Guido and Daffertshofer, Andreas",
            "Phase lag index: assessment of functional connectivity from multi channel EEG and MEG with"
            " diminished bias from common sources",
            "Human Brain Mapping", "2007", "28", "1178--1193", "10.1002/hbm.20346",
        ),
        "burgess2013": Reference(
            "Burgess, Adrian P.",
            "On the interpretation of synchronization in EEG hyperscanning studies: a cautionary note",
            "Frontiers in Human Neuroscience", "2013", "7", "881", "10.3389/fnhum.2013.00881",
        ),
        "zimmermann2024": Reference(
            "Zimmermann, Marius and Schultz-Nielsen, Kathrine and Dumas, Guillaume and Konvalinka, Ivana",
            "Arbitrary methodological decisions skew inter-brain synchronization estimates in"
            " hyperscanning-{EEG} studies",
            "Imaging Neuroscience", "2024", "2", "1--19", "10.1162/imag_a_00350",
        ),
        "hipp2012": Reference(
            "Hipp, Joerg F. and Hawellek, David J. and Corbetta, Maurizio and Siegel, Markus and Engel,"
            " Andreas K.",
            "Large-scale cortical correlation structure of spontaneous oscillatory activity",
            "Nature Neuroscience", "2012", "15", "884--890", "10.1038/nn.3101",
        ),
        "grinsted2004": Reference(
            "Grinsted, Aslak and Moore, John C. and Jevrejeva, Svetlana",
            "Application of the cross wavelet transform and wavelet coherence to geophysical time series",
            "Nonlinear Processes in Geophysics", "2004", "11", "561--566", "10.5194/npg-11-561-2004",
        ),
        "fishburn2019": Reference(
            "Fishburn, Frank A. and Ludlum, Ruth S. and Vaidya, Chandan J. and Medvedev, Andrei V.",
            "Temporal derivative distribution repair (TDDR): a motion correction method for fNIRS",
            "NeuroImage", "2019", "184", "171--179", "10.1016/j.neuroimage.2018.09.025",
        ),
        "kuznetsova2017": Reference(
            "Kuznetsova, Alexandra and Brockhoff, Per B. and Christensen, Rune H. B.",
            "lmerTest package: tests in linear mixed effects models",
            "Journal of Statistical Software", "2017", "82", "1--26", "10.18637/jss.v082.i13",
        ),
    }
)  # fmt: skip

#: Which references a metric rests on.
METRIC_REFERENCES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "plv": ("lachaux1999",),
        "nmplv": ("lachaux1999",),
        "ciplv": ("bruna2018",),
        "imcoh": ("nolte2004",),
        "lagcoh": ("nolte2004",),
        "ppc": ("vinck2010",),
        "pli": ("stam2007",),
        "wpli": ("vinck2011",),
        "dwpli": ("vinck2011",),
        "ccorr": ("burgess2013",),
        "accorr": ("zimmermann2024",),
        "oaec": ("hipp2012",),
        "wtc": ("grinsted2004",),
    }
)


def bibtex(keys: Iterable[str]) -> str:
    """Entries of the given references as BibTeX.

    Examples
    --------
    >>> bibtex(["grinsted2004"]).splitlines()[0]
    '@article{grinsted2004,'
    """
    entries = []
    for key in sorted(set(keys)):
        entry = REFERENCES[key]
        fields = {
            "author": entry.authors, "title": f"{{{entry.title}}}", "journal": entry.journal,
            "year": entry.year,
            "volume": entry.volume, "pages": entry.pages, "doi": entry.doi,
        }  # fmt: skip
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        entries.append("\n".join([f"@article{{{key},", *lines, "}"]))
    return "\n\n".join(entries) + "\n"


def in_words(key: str) -> str:
    """One reference as a line of text, with its DOI."""
    entry = REFERENCES[key]
    names = entry.authors.replace(" and others", " et al.").replace(" and ", "; ")
    where = ", ".join(part for part in (entry.volume, entry.pages.replace("--", "–")) if part)
    title = entry.title.replace("{", "").replace("}", "")  # braces are BibTeX's
    return f"{names} ({entry.year}). {title}. {entry.journal} {where}. doi:{entry.doi}"
