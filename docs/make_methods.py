"""Write the table of methods, ``docs/methods.md``, from the registry."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.explain.explainers import NAMES
from seewhy.registry import METHODS, Method

GRADIENTS = (
    "deeplift", "fullgrad", "gradient_shap", "guided_backprop", "guided_gradcam", "integrated_gradients", "smoothgrad",
    "vargrad",
)  # fmt: skip
PERTURBATIONS = ("kernel_shap", "lime", "occlusion", "rise")
MADE_OF_OTHERS = ("external", "layer_fusion", "mean_of_methods", "minus_random", "random", "tta")
FAMILIES = {
    "Class activation maps": lambda entry: entry.needs_layer and entry.name not in GRADIENTS,
    "Attention": lambda entry: entry.needs_attention,
    "Input space, from gradients": lambda entry: "input_gradients" in entry.reads or entry.name in GRADIENTS,
    "Input space, from forward passes alone": lambda entry: entry.name in PERTURBATIONS,
    "Made of other methods, controls, other libraries": lambda entry: entry.name in MADE_OF_OTHERS,
}
OBJECTS = {method: name for name, method in NAMES.items()}
FILLED = runpy.run_path(str(Path(__file__).with_name("make_parameters.py")))["filled"]
REGION = "<!-- parameters of {} -->\n<!-- end -->"

HEAD = """# Methods

Every method answers by name, in Python (`seewhy.explain_prediction(model, image, method="hirescam")`), as an object
(`seewhy.HiResCAM(model)`), on the command line (`seewhy explain cat.png --methods hirescam --set rise.num_masks=500`)
and as the function that is its formula. Raw maps are signed and neither resized nor normalised; a heat map is made from
them when it is drawn. This page is written from the registry by `docs/make_methods.py`.
"""

TABLES = {
    "Parameters of the functions": ("explain_prediction", "compare_methods", "visualize_batch"),
    "Parameters of the objects": (
        "Explainer", "Explainer.explain", "Explainer.explain_batch", "Explainer.visualize", "IntegratedGradients",
        "IntegratedGradients.check_completeness", "SmoothGrad", "AttentionRollout", "AttentionFlow",
        "AttentionFlow.get_attention_flow",
    ),
}  # fmt: skip
ABOUT_OBJECTS = """Every class of the tables above has the parameters and the methods of `seewhy.Explainer`, and the
settings of its method by name: `seewhy.GradCAM(model, target_layer="layer4", local=True)`. The classes that come after
it here write theirs otherwise."""


def page() -> str:
    """The whole page."""
    left = list(METHODS.values())
    parts = [HEAD]
    for family, belongs in (*FAMILIES.items(), ("Others", lambda _: True)):
        members = [entry for entry in left if belongs(entry)]
        left = [entry for entry in left if entry not in members]
        if not members:
            continue
        rows = [row(entry) for entry in sorted(members, key=lambda entry: entry.name)]
        parts.append(
            "\n".join([f"## {family}\n", "| method | what it says | settings | source |", "|---|---|---|---|", *rows])
        )
    return FILLED("\n\n".join(part.rstrip() for part in [*parts, *parameters()]) + "\n")


def parameters() -> list[str]:
    """The headings and regions of the tables of parameters."""
    parts = []
    for heading, names in TABLES.items():
        parts.append(f"## {heading}")
        parts += [ABOUT_OBJECTS] if "Explainer" in names else []
        parts += [REGION.format(name) for name in names]
    return parts


def row(entry: Method) -> str:
    """One method: names, first line of its documentation, settings with defaults, citation."""
    also = f" ({', '.join(f'`{name}`' for name in entry.also)})" if entry.also else ""
    settings = ", ".join(f"`{setting(name, default)}`" for name, default in entry.settings.items()) or "–"
    made = f"<br>`seewhy.{OBJECTS[entry.name]}`" if entry.name in OBJECTS else ""
    named = f"`{entry.name}`{also}{made}"
    return "| " + " | ".join([named, entry.purpose.replace("``", "`"), settings, entry.cite]) + " |"


def setting(name: str, default: object) -> str:
    """``steps=50``; a setting without a default by its name alone."""
    return name if default is inspect.Parameter.empty else f"{name}={default!r}"


if __name__ == "__main__":
    Path(__file__).with_name("methods.md").write_text(page())
