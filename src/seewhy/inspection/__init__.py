"""Feature maps looked into: extracted, kept in files, drawn, measured, and compared."""

from seewhy.inspection.analysis import Analysis as Analysis
from seewhy.inspection.analysis import analyze as analyze
from seewhy.inspection.analysis import compare_layers as compare_layers
from seewhy.inspection.comparison import FeatureComparison as FeatureComparison
from seewhy.inspection.comparison import compare as compare
from seewhy.inspection.comparison import compare_models as compare_models
from seewhy.inspection.excited_records import ExcitedRecord as ExcitedRecord
from seewhy.inspection.excited_records import top_records as top_records
from seewhy.inspection.feature_file import load_feature_file as load_feature_file
from seewhy.inspection.feature_file import save_feature_file as save_feature_file
from seewhy.inspection.inspector import FeatureMapInspector as FeatureMapInspector
from seewhy.inspection.layer_plots import plot_activation_distribution as plot_activation_distribution
from seewhy.inspection.layer_plots import plot_channel_statistics as plot_channel_statistics
from seewhy.inspection.layer_plots import plot_spatial_activation_patterns as plot_spatial_activation_patterns
from seewhy.inspection.visualizer import FeatureVisualizer as FeatureVisualizer
