"""The code blocks of the multi-input guide, one after the other and word for word, on the example model."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import seewhy.multi_input
from seewhy.training import DataModule, NetModule, read_config, trained_example

BLOCKS = {
    "quick start": """
import torch
from NetModule import NetModule

# Load your trained model
model = NetModule.load_from_checkpoint('path/to/checkpoint.ckpt', config=config)

# Prepare your inputs (batch size = 1)
mnv = torch.randn(1, 1, 224, 224)      # MNV image
fluid = torch.randn(1, 1, 224, 224)    # Fluid image
ga = torch.randn(1, 1, 224, 224)       # GA image
drusen = torch.randn(1, 1, 224, 224)   # Drusen image

# Generate Grad-CAM analysis
results = model.analyze_prediction_with_gradcam(
    mnv, fluid, ga, drusen,
    save_dir="./gradcam_results",
    sample_id="patient_001"
)

print(f"Predicted class: {results['predicted_class']}")
print(f"Confidence: {results['confidence']:.4f}")
print(f"Available heatmaps: {list(results['heatmaps'].keys())}")
""",
    "advanced usage": """
from Utils.grad_cam import GradCAMVisualizer

# Create visualizer with custom settings
visualizer = GradCAMVisualizer(model, use_cuda=True)

# Analyze specific target class
heatmaps = visualizer.analyze_sample(
    inputs=[mnv, fluid, ga, drusen],
    target_class=2,  # Focus on class 2
    save_dir="./class2_analysis",
    sample_id="analysis_001"
)

# Access individual heatmaps
mnv_heatmap = heatmaps['mnv']          # Shape: [H, W]
fluid_heatmap = heatmaps['fluid']      # Shape: [H, W]
ga_heatmap = heatmaps['ga']            # Shape: [H, W]
drusen_heatmap = heatmaps['drusen']    # Shape: [H, W]

# Cleanup when done
visualizer.cleanup()
""",
    "batch processing": """
# Analyze multiple samples from data loader
results = visualizer.batch_analyze(
    dataloader=val_dataloader,
    num_samples=10,
    save_dir="./batch_analysis"
)

# Results contain analysis for each sample
for result in results:
    print(f"Sample: {result['sample_id']}")
    print(f"True: {result['true_class']}, Pred: {result['pred_class']}")
    print(f"Heatmaps: {list(result['heatmaps'].keys())}")
""",
    "out of memory": """
# Use CPU mode
visualizer = GradCAMVisualizer(model, use_cuda=False)
""",
    "debugging": """
# Check model structure
print(model)

# Verify input shapes
print(f"Input shapes: {[inp.shape for inp in inputs]}")

# Check layer availability
for layer_name in ['backbone1', 'backbone2', 'backbone3', 'backbone4']:
    layer = getattr(model.out, layer_name, None)
    print(f"{layer_name}: {'Found' if layer else 'Not found'}")
""",
    "memory management": """
# Always cleanup when done
try:
    results = visualizer.analyze_sample(inputs)
    # Process results...
finally:
    visualizer.cleanup()  # Important for memory management
""",
    "training pipeline": """
# After training completion
best_model_path = trainer.checkpoint_callback.best_model_path
model = NetModule.load_from_checkpoint(best_model_path, config=config)

# Analyze validation samples
val_loader = data_module.val_dataloader()
visualizer = GradCAMVisualizer(model)
results = visualizer.batch_analyze(val_loader, num_samples=20)
""",
    "inference pipeline": """
# During inference
prediction_results = model.predict(inputs)
gradcam_results = model.analyze_prediction_with_gradcam(
    *inputs,
    target_class=prediction_results['predicted_class']
)

# Combine for comprehensive analysis
final_results = {**prediction_results, **gradcam_results}
""",
}
INPUTS = ["mnv", "fluid", "ga", "drusen"]


def modules_of_the_guide() -> dict[str, ModuleType]:
    """The modules that the guide imports from, holding this package's classes."""
    net, utils, cam = ModuleType("NetModule"), ModuleType("Utils"), ModuleType("Utils.grad_cam")
    net.NetModule = NetModule
    cam.GradCAMVisualizer = seewhy.multi_input.GradCAMVisualizer
    return {"NetModule": net, "Utils": utils, "Utils.grad_cam": cam}


def save_untrained(path: Path, config: dict[str, Any]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = NetModule(config)
    path.parent.mkdir(parents=True)
    told = {"config": module.config.plain}
    torch.save(
        {"state_dict": module.state_dict(), "hyper_parameters": told, "pytorch-lightning_version": "2.6.6"}, path
    )


def test_every_code_block_runs_and_says_what_it_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = read_config()
    config["DataModule"]["counts"] = {"train": 4, "val": 12, "test": 4}
    config["DataModule"]["batch_size"] = 4
    monkeypatch.chdir(tmp_path)
    for name, module in modules_of_the_guide().items():
        monkeypatch.setitem(sys.modules, name, module)
    save_untrained(tmp_path / "path/to/checkpoint.ckpt", config)
    data_module = DataModule(config)
    callback = SimpleNamespace(best_model_path="path/to/checkpoint.ckpt")
    known: dict[str, Any] = {
        "config": config,
        "data_module": data_module,
        "val_dataloader": data_module.val_dataloader(),
        "trainer": SimpleNamespace(checkpoint_callback=callback),
    }
    torch.manual_seed(0)
    said = {}
    for name, block in BLOCKS.items():
        exec(block, known)
        said[name] = capsys.readouterr().out
        if name == "quick start":
            known["inputs"] = [known[one] for one in INPUTS]
        if name == "batch processing":
            assert [one["sample_id"] for one in known["results"]] == [f"val_{row:05d}" for row in range(10)]
            assert [one["true_class"] for one in known["results"]] == [row % 4 for row in range(10)]
    assert f"Available heatmaps: {INPUTS}" in said["quick start"]
    assert said["debugging"].endswith("".join(f"backbone{number}: Found\n" for number in (1, 2, 3, 4)))
    assert all(known[f"{one}_heatmap"].shape == (224, 224) for one in INPUTS)
    assert len(known["results"]) == 12  # the twenty asked for are not there
    assert known["final_results"]["predicted_class"] == known["prediction_results"]["predicted_class"]
    np.testing.assert_allclose(
        known["final_results"]["probabilities"], known["prediction_results"]["probabilities"], atol=1e-6
    )
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert {f"gradcam_results/patient_001_heatmaps/patient_001_{one}.png" for one in INPUTS} <= written
    assert "gradcam_results/patient_001_gradcam_visualization.png" in written
    assert "class2_analysis/analysis_001_gradcam_visualization.png" in written
    assert "batch_analysis/summary_visualization.png" in written
    assert len([name for name in written if name.startswith("batch_analysis/val_")]) == 10 * 5


def test_the_layers_of_the_guide_are_found_by_their_ends(tmp_path: Path) -> None:
    model = NetModule(read_config()).eval()
    layers = ["backbone1", "backbone2", "backbone3", "backbone4"]
    inputs = [torch.rand(1, 1, 64, 64) for _ in INPUTS]
    by_end = seewhy.multi_input.MultiInputGradCAM(model, target_layers=layers).generate_cam(inputs)
    in_full = seewhy.multi_input.MultiInputGradCAM(model, [f"out.{one}" for one in layers]).generate_cam(inputs)
    for name in INPUTS:
        np.testing.assert_array_equal(by_end[name], in_full[name])


@pytest.mark.slow
def test_the_evidence_of_the_trained_example_lies_in_the_input_that_holds_it(tmp_path: Path) -> None:
    config = read_config()
    config["NetModule"]["log_dir"] = str(tmp_path)
    model = NetModule.load_from_checkpoint(trained_example(config))
    data = DataModule(config)
    found = seewhy.multi_input.GradCAMVisualizer(model).batch_analyze(data.val_dataloader(), num_samples=96)
    position = {ref.record_id: number for number, ref in enumerate(data.records.index())}
    held = []
    for one in found:
        where = {name for name, mask in data.records.evidence(position[one["sample_id"]]).items() if mask.any()}
        if where and one["true_class"] == one["pred_class"]:
            held.append(sum(one["shares"][name] for name in where))
    assert len(held) > 48
    assert np.mean(held) > 0.6  # a quarter by chance
    assert np.mean([share > 0.5 for share in held]) > 0.8
