"""One diagnosis from four pictures of an eye: which picture mattered, and where in it.

    python examples/several_inputs/eyes_demo.py --output-dir eyes

Trains the example model on made pictures in some seconds (once: it is found again), so it needs no download. What
decides the grade is planted in a known picture, so that each share of the evidence can be checked.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import seewhy
from seewhy.multi_input import AllMethodsComparison, GradCAMVisualizer
from seewhy.training import DataModule, NetModule, read_config, trained_example


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("eyes"))
    output_dir = parser.parse_args().output_dir
    config = read_config()
    config["NetModule"]["log_dir"] = str(output_dir / "logs")
    model = NetModule.load_from_checkpoint(trained_example(config), config=config)
    *pictures, labels, ids = next(iter(DataModule(config).val_dataloader()))

    one_sample(model, [picture[:1] for picture in pictures], ids[0], output_dir)
    a_batch(model, config, output_dir)
    any_model(model, pictures)
    print("true grades:", [model.class_names[label] for label in labels[:4].tolist()])


def one_sample(model: NetModule, inputs: list[torch.Tensor], sample_id: str, output_dir: Path) -> None:
    """The module explains itself; its prediction and the explanation are one dictionary."""
    found = model.predict(inputs)
    explained = model.analyze_prediction_with_gradcam(*inputs, save_dir=output_dir, sample_id=sample_id)
    everything = {**found, **explained}
    print(f"{sample_id}: {everything['class_name']}, {everything['confidence']:.0%}; {told(everything['shares'])}")
    AllMethodsComparison(model, n_samples=10).analyze_sample_all_methods(
        inputs, save_dir=output_dir, sample_id=f"{sample_id}_all"
    )


def a_batch(model: NetModule, config: dict, output_dir: Path) -> None:
    """Every sample of every batch, with the ids of the loader, and a page of all of them."""
    visualizer = GradCAMVisualizer(model)
    results = visualizer.batch_analyze(
        DataModule(config).val_dataloader(), num_samples=6, save_dir=output_dir / "batch"
    )
    for result in results:
        print(f"{result['sample_id']}: true {result['true_class']}, predicted {result['pred_class']}")


def any_model(model: NetModule, pictures: list[torch.Tensor]) -> None:
    """The same through any method's own object: raw maps, one scale, shares of the evidence."""
    inputs = dict(zip(model.input_names, (picture[:2] for picture in pictures), strict=True))
    for found in seewhy.GradCAMPlusPlus(model, class_names=model.class_names).explain_inputs(inputs):
        print(f"{found.says(model.class_names)['label']}: {told(found.shares)}")


def told(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


if __name__ == "__main__":
    main()
