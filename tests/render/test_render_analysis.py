"""The statistical figures draw the numbers they were given, and say what they leave out."""

import subprocess
import sys

import numpy as np
import pytest

from seewhy.render import RenderError
from seewhy.render.analysis_figures import analysis_summary, heatmap_detailed_analysis
from seewhy.render.plots import save_figure

TRAIN = {
    "samples_processed": 30,
    "accuracy": 0.9,
    "class_distribution": {"Early": 20, "Late": 10},
    "avg_processing_time": 0.02,
    "heatmap_summary": {
        "mnv": {"avg_max_activation": 2.0, "std_max_activation": 0.5},
        "ga": {"avg_max_activation": 1.0, "std_max_activation": 0.25},
    },
}
TEST = {
    "samples_processed": 12,
    "accuracy": None,
    "class_distribution": {"Late": 7, "Normal": 5},
    "avg_processing_time": 0.03,
    "heatmap_summary": {"mnv": {"avg_max_activation": 3.0, "std_max_activation": 0.1}},
}
SPLITS = {"train": TRAIN, "test": TEST}


def drawn(splits):
    return dict(zip(("accuracy", "classes", "peaks", "seconds"), analysis_summary(splits).axes, strict=True))


def words_in(panel):
    return [text.get_text() for text in panel.texts]


def test_accuracy_is_a_bar_per_split_and_a_word_where_it_is_not_known():
    panel = drawn(SPLITS)["accuracy"]
    assert [bar.get_height() for bar in panel.patches] == [0.9, 0.0]
    assert words_in(panel) == ["90.0 %", "not labelled"]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["train\n30 records", "test\n12 records"]


def test_an_accuracy_of_zero_is_not_taken_for_an_unknown_one():
    assert words_in(drawn({"val": TRAIN | {"accuracy": 0.0}})["accuracy"]) == ["0.0 %"]


def test_records_are_counted_by_class_and_split():
    panel = drawn(SPLITS)["classes"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["Early", "Late", "Normal"]
    assert [[bar.get_width() for bar in group] for group in panel.containers] == [[20, 10, 0], [0, 7, 5]]


def test_of_many_classes_the_largest_are_shown_and_the_rest_is_counted():
    counts = {f"class {index}": index for index in range(50)}
    panel = drawn({"val": TRAIN | {"class_distribution": counts}})["classes"]
    assert [bar.get_width() for bar in panel.patches] == list(range(49, 29, -1))
    assert panel.get_xlabel() == "records (30 smaller classes are left out)"


def test_peaks_are_raw_means_with_their_deviation():
    panel = drawn(SPLITS)["peaks"]
    train, test = (group for group in panel.containers if hasattr(group, "patches"))
    assert [bar.get_height() for bar in train] == [2.0, 1.0]
    np.testing.assert_array_equal([bar.get_height() for bar in test], [3.0, np.nan])
    spans = [line[:, 1].tolist() for line in train.errorbar.lines[2][0].get_segments()]
    assert spans == [[1.5, 2.5], [0.75, 1.25]]


def test_error_bars_do_not_reach_below_zero():
    wide = {"mnv": {"avg_max_activation": 1.0, "std_max_activation": 3.0}}
    [bars] = [
        group for group in drawn({"val": TRAIN | {"heatmap_summary": wide}})["peaks"].containers if len(group) == 1
    ]
    [segments] = [line.get_segments() for line in bars.errorbar.lines[2]]
    assert segments[0][:, 1].tolist() == [0.0, 4.0]


def test_counts_have_whole_numbers_on_their_axis():
    panel = drawn({"val": TRAIN | {"class_distribution": {"Early": 1, "Late": 2}}})["classes"]
    assert all(tick == round(tick) for tick in panel.get_xticks())


def test_the_method_is_named_where_it_is_known():
    assert analysis_summary(SPLITS, method="VarGrad").axes[2].get_title() == "Peak of the raw maps: VarGrad"
    figure = heatmap_detailed_analysis({"mnv": points([1.0], [0.5])}, method="VarGrad")
    assert figure.get_suptitle() == "Raw maps, record by record: VarGrad"


def test_time_is_in_seconds_per_record():
    panel = drawn(SPLITS)["seconds"]
    assert [bar.get_height() for bar in panel.patches] == [0.02, 0.03]
    assert words_in(panel) == ["0.02 s", "0.03 s"]


def test_a_split_has_one_colour_in_all_panels():
    panels = drawn(SPLITS)
    colours = {tuple(panels[name].patches[1].get_facecolor()) for name in ("accuracy", "seconds")}
    colours |= {tuple(panels[name].containers[-1][0].get_facecolor()) for name in ("classes", "peaks")}
    assert len(colours) == 1


def test_a_data_set_without_labels_is_summarised_too(tmp_path):
    figure = analysis_summary({"val": TRAIN | {"accuracy": None, "class_distribution": {}}})
    save_figure(figure, tmp_path / "analysis_summary.png")
    assert list(figure.axes[1].patches) == []


def test_dollar_signs_in_names_are_no_formula(tmp_path):
    figure = analysis_summary({"a $x_ split$": TRAIN | {"class_distribution": {"5$ to 10$_": 3}}})
    save_figure(figure, tmp_path / "analysis_summary.png")
    assert figure.axes[1].get_yticklabels()[0].get_text() == r"5\$ to 10\$_"


@pytest.mark.parametrize(
    "splits", [{}, {"val": {}}, {"val": {key: value for key, value in TRAIN.items() if key != "accuracy"}}]
)
def test_a_summary_without_its_numbers_is_refused(splits):
    with pytest.raises(RenderError) as caught:
        analysis_summary(splits)
    assert caught.value.code == "SW-R49"


def points(peaks, means):
    return {"max_activation": peaks, "mean_activation": means}


def test_each_input_has_its_points_on_common_axes():
    activations = {"mnv": points([1.0, 4.0], [0.2, 0.5]), "ga": points([0.1], [0.05])}
    first, second = heatmap_detailed_analysis(activations).axes
    assert first.collections[0].get_offsets().tolist() == [[1.0, 0.2], [4.0, 0.5]]
    assert second.collections[0].get_offsets().tolist() == [[0.1, 0.05]]
    assert (first.get_xlim(), first.get_ylim()) == (second.get_xlim(), second.get_ylim())
    assert [first.get_title(), second.get_title()] == ["mnv", "ga"]


def test_records_without_a_number_are_counted_not_drawn():
    [panel] = heatmap_detailed_analysis({"mnv": points([1.0, np.nan, 3.0], [0.1, 0.2, np.inf])}).axes
    assert panel.collections[0].get_offsets().tolist() == [[1.0, 0.1]]
    assert panel.get_title() == "mnv (2 not finite)"


@pytest.mark.parametrize(("inputs", "shape"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (9, (3, 3))])
def test_any_number_of_inputs_fills_an_even_grid(inputs, shape):
    figure = heatmap_detailed_analysis({f"input {index}": points([1.0], [0.5]) for index in range(inputs)})
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == shape
    assert sum(panel.axison for panel in figure.axes) == inputs


@pytest.mark.parametrize("activations", [{}, {"mnv": points([1.0, 2.0], [0.1])}, {"mnv": {"max_activation": [1.0]}}])
def test_peaks_without_their_means_are_refused(activations):
    with pytest.raises(RenderError) as caught:
        heatmap_detailed_analysis(activations)
    assert caught.value.code == "SW-R50"


DRAW = """
import sys
import numpy as np
import seewhy.render.analysis_figures
from seewhy.render.boxes import Detection
from seewhy.render.detection_figure import detection_figure
from seewhy.render.inputs_figure import inputs_figure
from seewhy.render.segmentation_figure import segmentation_figure
from seewhy.render.summary_figure import Sample, summary_figure

picture, heat = np.zeros((32, 32, 3), np.uint8), np.eye(4)
inputs_figure({"mnv": picture}, {"Grad-CAM": {"mnv": heat}}, title="record")
summary_figure([Sample("a", None, "b", {"mnv": picture}, {"mnv": heat})])
detection_figure(picture, [Detection((1, 2, 9, 9), "cat")], [heat], title="record")
segmentation_figure(picture, np.eye(4, dtype=int), heat, heat / 2, classes=3, title="record")
print(*{name.split(".")[0] for name in sys.modules} & {"torch", "matplotlib", "scipy", "pandas"})
"""


def test_pictures_need_no_plotting_library_and_a_figure_no_pyplot():
    path = [entry for entry in sys.path if entry]
    figures = (
        "from seewhy.render.analysis_figures import heatmap_detailed_analysis as figure\n"
        "figure({'mnv': {'max_activation': [1.0], 'mean_activation': [0.5]}})\n"
        "print(*{'matplotlib.pyplot', 'torch'} & set(sys.modules))\n"
    )
    program = f"import sys\nsys.path[:0] = {path!r}\n{DRAW}\n{figures}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
