"""Metrics, each in one small class that states its conventions."""

from eval.metrics.base import (
    Catalogue,
    CatalogueMetric,
    DomainTotals,
    ListMetric,
    Metric,
    RankedLists,
)
from eval.metrics.binary import PRAUC, ROCAUC, ScoreHistogram
from eval.metrics.classification import AUC, pair_auc
from eval.metrics.diversity import (
    AveragePopularity,
    CategoryDistance,
    Coverage,
    Entropy,
    Gini,
    IntraListDistance,
    Novelty,
    Personalisation,
    PopularityLift,
    Serendipity,
    TailShare,
)
from eval.metrics.interests import (
    AlphaNDCG,
    Breadth,
    ExpansionHitRate,
    ExpansionRecall,
    Miscalibration,
    SubtopicRecall,
)
from eval.metrics.ranking import F1, MAP, MRR, NDCG, HitRate, Precision, Recall, RPrecision
from eval.metrics.registry import get_metric, list_metrics, select_metrics
from eval.metrics.sampled import SampledHitRate, SampledMRR, SampledNDCG, sampled_rank

__all__ = [
    "AUC",
    "F1",
    "MAP",
    "MRR",
    "NDCG",
    "PRAUC",
    "ROCAUC",
    "AlphaNDCG",
    "AveragePopularity",
    "Breadth",
    "Catalogue",
    "CatalogueMetric",
    "CategoryDistance",
    "Coverage",
    "DomainTotals",
    "Entropy",
    "ExpansionHitRate",
    "ExpansionRecall",
    "Gini",
    "HitRate",
    "IntraListDistance",
    "ListMetric",
    "Metric",
    "Miscalibration",
    "Novelty",
    "Personalisation",
    "PopularityLift",
    "Precision",
    "RPrecision",
    "RankedLists",
    "Recall",
    "SampledHitRate",
    "SampledMRR",
    "SampledNDCG",
    "ScoreHistogram",
    "Serendipity",
    "SubtopicRecall",
    "TailShare",
    "get_metric",
    "list_metrics",
    "pair_auc",
    "sampled_rank",
    "select_metrics",
]
