"""seewhy: see why your vision model decided.

The names below are imported when they are first used: ``import seewhy`` itself loads neither torch nor anything heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seewhy.capture.probe import Probe as Probe
    from seewhy.core import Wants as Wants
    from seewhy.data.clip_folder import ClipFolder as ClipFolder
    from seewhy.data.clips import Clip as Clip
    from seewhy.data.clips import read_clip as read_clip
    from seewhy.data.cluttered_digits import ClutteredDigits as ClutteredDigits
    from seewhy.data.cmr_acdc import CmrAcdc as CmrAcdc
    from seewhy.data.custom import CustomDataset as CustomDataset
    from seewhy.data.image_folder import ImageFolder as ImageFolder
    from seewhy.data.manifest import Manifest as Manifest
    from seewhy.data.multi_input import MultiInput as MultiInput
    from seewhy.data.volume_folder import VolumeFolder as VolumeFolder
    from seewhy.data.volume_input import Percentiles as Percentiles
    from seewhy.data.volume_input import Window as Window
    from seewhy.data.volume_input import ZScore as ZScore
    from seewhy.data.volumes import Volume as Volume
    from seewhy.data.volumes import read_volume as read_volume
    from seewhy.explain.batch_processor import BatchProcessor as BatchProcessor
    from seewhy.explain.cache import ExplanationCache as ExplanationCache
    from seewhy.explain.clips import explain_clip as explain_clip
    from seewhy.explain.comparison import Comparison as Comparison
    from seewhy.explain.comparison import compare_methods as compare_methods
    from seewhy.explain.detection import explain_detection as explain_detection
    from seewhy.explain.evaluate import evaluate_methods as evaluate_methods
    from seewhy.explain.evaluation import Evaluation as Evaluation
    from seewhy.explain.explainer import Explainer as Explainer
    from seewhy.explain.explainers import KPCACAM as KPCACAM
    from seewhy.explain.explainers import LIME as LIME
    from seewhy.explain.explainers import RISE as RISE
    from seewhy.explain.explainers import AblationCAM as AblationCAM
    from seewhy.explain.explainers import Attention as Attention
    from seewhy.explain.explainers import AttentionFlow as AttentionFlow
    from seewhy.explain.explainers import AttentionMaxFlow as AttentionMaxFlow
    from seewhy.explain.explainers import AttentionRelevance as AttentionRelevance
    from seewhy.explain.explainers import AttentionRollout as AttentionRollout
    from seewhy.explain.explainers import DeepLIFT as DeepLIFT
    from seewhy.explain.explainers import EigenCAM as EigenCAM
    from seewhy.explain.explainers import EigenGradCAM as EigenGradCAM
    from seewhy.explain.explainers import External as External
    from seewhy.explain.explainers import FullGrad as FullGrad
    from seewhy.explain.explainers import GradCAM as GradCAM
    from seewhy.explain.explainers import GradCAMElementWise as GradCAMElementWise
    from seewhy.explain.explainers import GradCAMPlusPlus as GradCAMPlusPlus
    from seewhy.explain.explainers import Gradient as Gradient
    from seewhy.explain.explainers import GradientSHAP as GradientSHAP
    from seewhy.explain.explainers import GuidedBackprop as GuidedBackprop
    from seewhy.explain.explainers import GuidedGradCAM as GuidedGradCAM
    from seewhy.explain.explainers import HiResCAM as HiResCAM
    from seewhy.explain.explainers import InputXGradient as InputXGradient
    from seewhy.explain.explainers import IntegratedGradients as IntegratedGradients
    from seewhy.explain.explainers import KernelSHAP as KernelSHAP
    from seewhy.explain.explainers import LayerCAM as LayerCAM
    from seewhy.explain.explainers import LayerFusion as LayerFusion
    from seewhy.explain.explainers import LeGrad as LeGrad
    from seewhy.explain.explainers import MeanOfMethods as MeanOfMethods
    from seewhy.explain.explainers import MinusRandom as MinusRandom
    from seewhy.explain.explainers import Occlusion as Occlusion
    from seewhy.explain.explainers import PatchAttention as PatchAttention
    from seewhy.explain.explainers import RandomMap as RandomMap
    from seewhy.explain.explainers import Saliency as Saliency
    from seewhy.explain.explainers import ScoreCAM as ScoreCAM
    from seewhy.explain.explainers import SmoothGrad as SmoothGrad
    from seewhy.explain.explainers import TestTimeAugmentation as TestTimeAugmentation
    from seewhy.explain.explainers import VarGrad as VarGrad
    from seewhy.explain.explainers import XGradCAM as XGradCAM
    from seewhy.explain.explanation_metrics import ExplanationMetrics as ExplanationMetrics
    from seewhy.explain.inference import optimize_for_inference as optimize_for_inference
    from seewhy.explain.interactive import InteractiveVisualizer as InteractiveVisualizer
    from seewhy.explain.loading import load_image as load_image
    from seewhy.explain.loading import load_model as load_model
    from seewhy.explain.prediction_table import save_predictions as save_predictions
    from seewhy.explain.predictions import explain_prediction as explain_prediction
    from seewhy.explain.predictions import quick_explain as quick_explain
    from seewhy.explain.predictions import visualize_batch as visualize_batch
    from seewhy.explain.regression import explain_regression as explain_regression
    from seewhy.explain.result import Result as Result
    from seewhy.explain.segmentation import explain_segmentation as explain_segmentation
    from seewhy.explain.signals import explain_signal as explain_signal
    from seewhy.explain.similarity import explain_similarity as explain_similarity
    from seewhy.explain.volumes import explain_volume as explain_volume
    from seewhy.inspection.comparison import compare_models as compare_models
    from seewhy.inspection.embed_image import embed_image as embed_image
    from seewhy.inspection.embeddings import Embeddings as Embeddings
    from seewhy.inspection.excited_records import top_records as top_records
    from seewhy.inspection.feature_file import load_feature_file as load_feature_file
    from seewhy.inspection.inspector import FeatureMapInspector as FeatureMapInspector
    from seewhy.inspection.visualizer import FeatureVisualizer as FeatureVisualizer
    from seewhy.metrics.gaze_comparison import compare_with_gaze as compare_with_gaze
    from seewhy.models.adapter import Adapter as Adapter
    from seewhy.pipeline.run import run as run
    from seewhy.pipeline.summary import Summary as Summary
    from seewhy.profiling import PerformanceProfiler as PerformanceProfiler
    from seewhy.store.run_reader import RunReader as RunReader
    from seewhy.store.verify import verify as verify
    from seewhy.training import AutoTrainer as AutoTrainer
    from seewhy.training import FeatureMonitorCallback as FeatureMonitorCallback
    from seewhy.training import InterpretationCallback as InterpretationCallback
    from seewhy.values import SeewhyError as SeewhyError

__version__ = "0.1.0"

_EXPLAINERS = (
    "AblationCAM",
    "Attention",
    "AttentionFlow",
    "AttentionMaxFlow",
    "AttentionRelevance",
    "AttentionRollout",
    "DeepLIFT",
    "EigenCAM",
    "EigenGradCAM",
    "External",
    "FullGrad",
    "GradCAM",
    "GradCAMElementWise",
    "GradCAMPlusPlus",
    "Gradient",
    "GradientSHAP",
    "GuidedBackprop",
    "GuidedGradCAM",
    "HiResCAM",
    "InputXGradient",
    "IntegratedGradients",
    "KPCACAM",
    "KernelSHAP",
    "LIME",
    "LayerCAM",
    "LayerFusion",
    "LeGrad",
    "MeanOfMethods",
    "MinusRandom",
    "Occlusion",
    "PatchAttention",
    "RISE",
    "RandomMap",
    "Saliency",
    "ScoreCAM",
    "SmoothGrad",
    "TestTimeAugmentation",
    "VarGrad",
    "XGradCAM",
)
"""The classes that ask one method each."""

_HOMES = {
    **dict.fromkeys(_EXPLAINERS, "seewhy.explain.explainers"),
    "Clip": "seewhy.data.clips",
    "ClipFolder": "seewhy.data.clip_folder",
    "VolumeFolder": "seewhy.data.volume_folder",
    "MultiInput": "seewhy.data.multi_input",
    "Percentiles": "seewhy.data.volume_input",
    "Volume": "seewhy.data.volumes",
    "Window": "seewhy.data.volume_input",
    "ZScore": "seewhy.data.volume_input",
    "BatchProcessor": "seewhy.explain.batch_processor",
    "explain_clip": "seewhy.explain.clips",
    "explain_detection": "seewhy.explain.detection",
    "explain_regression": "seewhy.explain.regression",
    "explain_segmentation": "seewhy.explain.segmentation",
    "explain_signal": "seewhy.explain.signals",
    "explain_similarity": "seewhy.explain.similarity",
    "explain_volume": "seewhy.explain.volumes",
    "read_clip": "seewhy.data.clips",
    "read_volume": "seewhy.data.volumes",
    "Comparison": "seewhy.explain.comparison",
    "Evaluation": "seewhy.explain.evaluation",
    "ExplanationMetrics": "seewhy.explain.explanation_metrics",
    "Explainer": "seewhy.explain.explainer",
    "ExplanationCache": "seewhy.explain.cache",
    "InteractiveVisualizer": "seewhy.explain.interactive",
    "Result": "seewhy.explain.result",
    "compare_methods": "seewhy.explain.comparison",
    "evaluate_methods": "seewhy.explain.evaluate",
    "explain_prediction": "seewhy.explain.predictions",
    "load_image": "seewhy.explain.loading",
    "load_model": "seewhy.explain.loading",
    "optimize_for_inference": "seewhy.explain.inference",
    "quick_explain": "seewhy.explain.predictions",
    "save_predictions": "seewhy.explain.prediction_table",
    "visualize_batch": "seewhy.explain.predictions",
    "AutoTrainer": "seewhy.training",
    "FeatureMapInspector": "seewhy.inspection.inspector",
    "FeatureMonitorCallback": "seewhy.training",
    "FeatureVisualizer": "seewhy.inspection.visualizer",
    "InterpretationCallback": "seewhy.training",
    "compare_models": "seewhy.inspection.comparison",
    "Embeddings": "seewhy.inspection.embeddings",
    "embed_image": "seewhy.inspection.embed_image",
    "compare_with_gaze": "seewhy.metrics.gaze_comparison",
    "load_feature_file": "seewhy.inspection.feature_file",
    "top_records": "seewhy.inspection.excited_records",
    "Adapter": "seewhy.models.adapter",
    "ClutteredDigits": "seewhy.data.cluttered_digits",
    "CmrAcdc": "seewhy.data.cmr_acdc",
    "CustomDataset": "seewhy.data.custom",
    "ImageFolder": "seewhy.data.image_folder",
    "Manifest": "seewhy.data.manifest",
    "PerformanceProfiler": "seewhy.profiling",
    "Probe": "seewhy.capture.probe",
    "RunReader": "seewhy.store.run_reader",
    "SeewhyError": "seewhy.values",
    "Summary": "seewhy.pipeline.summary",
    "Wants": "seewhy.core",
    "run": "seewhy.pipeline.run",
    "verify": "seewhy.store.verify",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "visualization":
        return import_module("seewhy.visualization")
    if name not in _HOMES:
        raise AttributeError(f"module 'seewhy' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
