"""The methods of the intervals, by the name that evidence and report call them, each with the source of its formula."""

from __future__ import annotations

from mlgate.stats import clusters, seeds
from mlgate.stats.bootstrap import OF_SUFFICIENT_STATISTICS
from mlgate.stats.confusion import METHOD as MULTINOMIAL_BOOTSTRAP
from mlgate.stats.fairness import METHOD as GROUPS
from mlgate.stats.intervals import TANGO, TANGO_OF_FEW
from mlgate.stats.mcnemar import NAME as MCNEMAR
from mlgate.stats.means import CORRECTED_JACKKNIFE, CORRECTED_T, FAR_T, PAIRED_T, WIDEST_JACKKNIFE, WIDEST_T
from mlgate.stats.quantiles import ROUNDS
from mlgate.stats.ranking import BOOTSTRAP, CORRECTED_DELONG, DELONG, JACKKNIFE
from mlgate.stats.resampled import METHOD as RESAMPLED

_EFRON = "Efron (1979), Annals of Statistics 7:1-26"
_STUDENT = "Student (1908), Biometrika 6:1-25"
_HALL = "Hall (1992), Journal of the Royal Statistical Society B 54:221-228"
_COCHRAN = "Cochran (1977), Sampling Techniques, section 9A"
_RECOVERY = "Zou and Donner (2008), Statistics in Medicine 27:1693-1702"
_DELONG = "DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837-845"
_JAECKEL = "Jaeckel (1972), Bell Laboratories memorandum MM 72-1215-11; Efron and Tibshirani (1993), section 22.4"

SOURCES = {
    TANGO: "Tango (1998), Statistics in Medicine 17:891-908",
    TANGO_OF_FEW: "Tango (1998), Statistics in Medicine 17:891-908; Clopper and Pearson (1934), Biometrika 26:404-413",
    PAIRED_T: _STUDENT,
    CORRECTED_T: f"{_STUDENT}; {_HALL}",
    FAR_T: f"{_STUDENT}; {_HALL}; Kish (1965), Survey Sampling",
    WIDEST_T: f"{_STUDENT}; {_HALL}",
    CORRECTED_JACKKNIFE: f"{_JAECKEL}; {_HALL}",
    WIDEST_JACKKNIFE: f"{_JAECKEL}; {_HALL}",
    MULTINOMIAL_BOOTSTRAP: f"{_EFRON}; Agresti and Min (2005), Statistics in Medicine 24:729-740",
    DELONG: _DELONG,
    CORRECTED_DELONG: f"{_DELONG}; {_HALL}",
    BOOTSTRAP: _EFRON,
    OF_SUFFICIENT_STATISTICS: _EFRON,
    RESAMPLED: f"{_EFRON}; Quenouille (1956), Biometrika 43:353-360; {_HALL}",
    MCNEMAR: "Fagerland, Lydersen and Laake (2013), BMC Medical Research Methodology 13:91",
    GROUPS: "Berger (1982), Technometrics 24:295-300; Zou and Donner (2008), Statistics in Medicine 27:1693-1702",
    JACKKNIFE: _JAECKEL,
    ROUNDS: f"{_STUDENT}; Schmeiser (1982), Operations Research 30:556-568; Shao and Wu (1989), Annals of Statistics 17:1176-1197",
    clusters.PROPORTIONS: "Rao and Scott (1992), Biometrics 48:577-585; Tango (1998), Statistics in Medicine 17:891-908",
    clusters.CLUSTER_T: _COCHRAN,
    clusters.CORRECTED_T: f"{_COCHRAN}; {_HALL}",
    clusters.WIDEST_T: f"{_COCHRAN}; {_HALL}",
    clusters.BOOTSTRAP: "Davison and Hinkley (1997), section 3.8; Hesterberg (2015), The American Statistician 69:371-386",
    clusters.OBUCHOWSKI: "Obuchowski (1997), Biometrics 53:567-578",
    clusters.JACKKNIFE: f"{_JAECKEL}, summed by group as Obuchowski (1997), Biometrics 53:567-578",
    seeds.PAIRED: _STUDENT,
    seeds.WELCH: "Welch (1938), Biometrika 29:350-362; Satterthwaite (1946), Biometrics Bulletin 2:110-114",
    seeds.POOLED: _STUDENT,
}


def source_of(method: str) -> str | None:
    """The sources of a method, which may be one of the examples and one of the seeds; None of an unknown one."""
    found = [SOURCES.get(part) for part in method.split(seeds.JOINED)]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    joined = [_RECOVERY] if len(known) > 1 else []
    return "; ".join([*known, *joined])
