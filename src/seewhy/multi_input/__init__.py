"""Models of several inputs explained: one map per input on a common scale, with each input's share of the evidence."""

from seewhy.multi_input.single import MultiInputGradCAM as MultiInputGradCAM
from seewhy.multi_input.single import MultiInputGradCAMPlusPlus as MultiInputGradCAMPlusPlus
from seewhy.multi_input.single import MultiInputSmoothGrad as MultiInputSmoothGrad
from seewhy.multi_input.single import MultiInputVarGrad as MultiInputVarGrad
from seewhy.multi_input.visualizers import AllMethodsComparison as AllMethodsComparison
from seewhy.multi_input.visualizers import ComparisonVisualizer as ComparisonVisualizer
from seewhy.multi_input.visualizers import GradCAMVisualizer as GradCAMVisualizer
from seewhy.multi_input.visualizers import SmoothGradVisualizer as SmoothGradVisualizer
from seewhy.multi_input.visualizers import VarGradVisualizer as VarGradVisualizer
