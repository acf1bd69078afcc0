"""Heat maps over pictures and figures that compare them, under the name that users of AutoTimm know."""

from seewhy.explain.figures import (
    apply_colormap,
    create_comparison_figure,
    overlay_heatmap,
    polarity_figure,
    save_heatmap,
)

__all__ = ["apply_colormap", "create_comparison_figure", "overlay_heatmap", "polarity_figure", "save_heatmap"]
