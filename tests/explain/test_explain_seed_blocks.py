"""The code that users of AutoTimm's interpretation module have in their documents, with `seewhy` written for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from friendly_models import noise
from PIL import Image
from torch import Tensor, nn

BLOCKS = {
    "quick start": """
from seewhy import explain_prediction, load_model
from PIL import Image
model = load_model("model.ckpt", model="timm:test_resnet", num_classes=10)
image = Image.open("cat.jpg")
image.load()
result = explain_prediction(model, image, method="gradcam", save_path="explanation.png")
said = f"Predicted class: {result['predicted_class']}"
assert Path("explanation.png").exists() and said[-1].isdigit()
""",
    "Grad-CAM": """
from seewhy import GradCAM
explainer = GradCAM(model, target_layer="backbone.layer4")
heatmap = explainer.explain(image, target_class=5)
assert heatmap.shape == (96, 128)
""",
    "Grad-CAM++": """
from seewhy import GradCAMPlusPlus
explainer = GradCAMPlusPlus(model, target_layer="backbone.layer4")
heatmap = explainer.explain(image)
assert heatmap.shape == (96, 128)
""",
    "Integrated Gradients": """
from seewhy import IntegratedGradients
explainer = IntegratedGradients(
    model,
    baseline='black',  # or 'white', 'blur', 'random'
    steps=50
)
heatmap = explainer.explain(image, target_class=3)
assert heatmap.shape == (96, 128)
""",
    "SmoothGrad": """
from seewhy import SmoothGrad, GradCAM
base_explainer = GradCAM(model)
smooth_explainer = SmoothGrad(
    base_explainer,
    noise_level=0.15,
    num_samples=50
)
heatmap = smooth_explainer.explain(image)
assert heatmap.shape == (96, 128)
""",
    "attention": """
from seewhy import AttentionRollout, AttentionFlow
rollout = AttentionRollout(vit_model, head_fusion='mean')
attention_map = rollout.explain(image)
flow = AttentionFlow(vit_model, target_patch=0)
flow_map = flow.explain(image)
assert attention_map.shape == flow_map.shape == (96, 128)
""",
    "one prediction": """
from seewhy import explain_prediction
result = explain_prediction(
    model,
    image,
    method="gradcam",
    target_class=None,  # Auto-detect
    target_layer=None,  # Auto-detect
    colormap="viridis",
    alpha=0.4,
    save_path="explanation.png",
    return_heatmap=True,
)
assert result["heatmap"].shape == (96, 128)
""",
    "several methods": """
from seewhy import compare_methods
results = compare_methods(
    model,
    image,
    methods=["gradcam", "gradcam++", "integrated_gradients"],
    save_path="comparison.png",
)
assert list(results) == ["gradcam", "gradcam++", "integrated_gradients"] and not results.failures
assert Path("comparison.png").exists()
""",
    "a batch": """
from seewhy import load_image, visualize_batch
images = [load_image(f"test_{i}.jpg") for i in range(10)]
results = visualize_batch(
    model,
    images,
    method="gradcam",
    output_dir="explanations/",
)
assert len(list(Path("explanations").iterdir())) == len(results) == 10
""",
    "target layers": """
from seewhy import GradCAM
by_name = GradCAM(model, target_layer="backbone.layer3.2.conv2")
by_module = GradCAM(model, target_layer=model.backbone.layer3)
assert by_name.get_target_layer_name() == "backbone.layer3.2.conv2"
assert by_module.get_target_layer_name() == "backbone.layer3"
by_name.explain(image), by_module.explain(image)
""",
    "colours": """
from seewhy import GradCAM
from seewhy.visualization import overlay_heatmap, apply_colormap
heatmap = GradCAM(model).explain(image)
colored_heatmap = apply_colormap(heatmap, colormap="hot")
overlayed = overlay_heatmap(
    image,
    heatmap,
    alpha=0.5,
    colormap="plasma",
    resize_heatmap=True,
)
assert colored_heatmap.shape == overlayed.shape == (96, 128, 3)
""",
    "production": """
from seewhy import GradCAM
images = [image] * 3
explainer = GradCAM(model, use_cuda=True)
heatmaps = explainer.explain_batch(images, batch_size=32)
heatmaps = explainer.explain_batch(images, batch_size=16)
assert [heat.shape for heat in heatmaps] == [(96, 128)] * 3
""",
    "a smaller image": """
from seewhy import GradCAM
from torchvision import transforms
resize = transforms.Resize((72, 80))
small_image = resize(image)
heatmap = GradCAM(model).explain(small_image)
assert heatmap.shape == (72, 80)
""",
    "the notebook": """
from seewhy import GradCAM, IntegratedGradients, SmoothGrad, compare_methods, quick_explain
quick_explain(model, image, method="gradcam", show_plot=False)
gradcam = GradCAM(model)
gradcam.visualize(image, gradcam.explain(image), save_path="cam.png")
ig = IntegratedGradients(model)
ig.explain(image, n_steps=4)
figure = ig.visualize_polarity(image, 3, "polarity.png")
assert len(figure.axes) == 4
ig.visualize_polarity(ig.attribute([image]), image, "polarity.png")
complete = ig.check_completeness(image, target_class=3)
assert set(complete) >= {"completeness_score", "is_satisfied"}
smoothgrad = SmoothGrad(model)
smoothgrad.explain(image, n_samples=4, noise_level=0.2)
compare_methods(model, image, methods=["gradcam"], figsize=(8, 4)).figure()
""",
}
"""Blocks of the documents, each followed by what their prose promises."""


class ImageClassifier(nn.Module):
    """A classifier around a backbone, as their checkpoints hold it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = timm.create_model("resnet50", layers=(1, 1, 3, 1), num_classes=10)
        self.backbone.pretrained_cfg = {**self.backbone.pretrained_cfg, "input_size": (3, 64, 64)}

    def forward(self, image: Tensor) -> Tensor:
        return self.backbone(image)


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    vit = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=10)
    return {"model": ImageClassifier().eval(), "vit_model": vit.eval()}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the documents speak of."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(96, 128)).save("cat.jpg")
    for number in range(10):
        Image.fromarray(noise(64, 80, number)).save(f"test_{number}.jpg")
    torch.save({"state_dict": timm.create_model("test_resnet", num_classes=10).state_dict()}, "model.ckpt")
    return tmp_path


@pytest.mark.filterwarnings("ignore:no positive evidence:UserWarning")
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_documents_runs(block: str, models: dict[str, nn.Module], desk: Path) -> None:
    with Image.open("cat.jpg") as opened:
        names = {**models, "Path": Path, "image": opened.convert("RGB")}
    exec(compile(BLOCKS[block], block, "exec"), names)
