"""Metrics, each in one small class that states its conventions."""

from eval.metrics.base import Catalogue, CatalogueMetric, ListMetric, Metric, RankedLists
from eval.metrics.classification import AUC, pair_auc
from eval.metrics.diversity import (
    AveragePopularity,
    CategoryDistance,
    Coverage,
    Entropy,
    Gini,
    IntraListDistance,
    Novelty,
    TailShare,
)
from eval.metrics.ranking import F1, MAP, MRR, NDCG, HitRate, Precision, Recall, RPrecision
from eval.metrics.registry import get_metric, list_metrics, select_metrics

__all__ = [
    "AUC",
    "F1",
    "MAP",
    "MRR",
    "NDCG",
    "AveragePopularity",
    "Catalogue",
    "CatalogueMetric",
    "CategoryDistance",
    "Coverage",
    "Entropy",
    "Gini",
    "HitRate",
    "IntraListDistance",
    "ListMetric",
    "Metric",
    "Novelty",
    "Precision",
    "RPrecision",
    "RankedLists",
    "Recall",
    "TailShare",
    "get_metric",
    "list_metrics",
    "pair_auc",
    "select_metrics",
]
