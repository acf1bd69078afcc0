"""Models and data of one's own, by ``_target_``, from modules beside the user."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_samples import files, pictures, rows, write_experiment, write_lightning_checkpoint
from torch import nn

import seewhy

MODELS = '''
import torch
from torch import nn


class Net(nn.Module):
    """Convolution, mean, linear."""

    def __init__(self, classes: int = 3, width: int = 4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.fc = nn.Linear(width, classes)

    def forward(self, image):
        return self.fc(self.conv(image).mean(dim=(2, 3)))


class Features(nn.Module):
    """No head."""

    num_classes = 0

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image):
        return self.conv(image).mean(dim=(2, 3))


class Touchy(Net):
    """Does not take black pictures."""

    def forward(self, image):
        if bool((image.flatten(1).abs().sum(dim=1) == 0).any()):
            raise ValueError("too dark")
        return super().forward(image)
'''
DATA = '''
import torch
from torch.utils.data import DataLoader, Dataset


def picture(i):
    return torch.randn(3, 12, 12, generator=torch.Generator().manual_seed(i))


class WithIds(Dataset):
    def __init__(self, count=3, prefix="patient_"):
        self.count, self.prefix = count, prefix

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return picture(i), i % 3, f"{self.prefix}{i}"


class WithIndices(WithIds):
    def __getitem__(self, i):
        return picture(i), torch.tensor(i % 3), i


class WithDicts(WithIds):
    def __getitem__(self, i):
        return {"image": picture(i), "label": i % 3, "id": f"{self.prefix}{i}"}


class OneDark(WithIds):
    def __getitem__(self, i):
        return picture(i) * (i != 1), i % 3, f"{self.prefix}{i}"


class Module:
    """Used like a LightningDataModule."""

    def __init__(self, count=3):
        self.count = count

    def setup(self, stage=None):
        self.parts = {name: WithIds(self.count, name[:2]) for name in ("train", "val", "test")}

    def train_dataloader(self):
        return DataLoader(self.parts["train"], batch_size=2, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.parts["val"], batch_size=2)

    def test_dataloader(self):
        return DataLoader(self.parts["test"], batch_size=2)
'''
EXPERIMENT = """\
defaults:
  - model: custom
  - data: custom
model:
  _target_: {model}
data:
  _target_: {data}
  num_workers: 0
"""


@pytest.fixture
def beside(project: Path) -> Iterator[Callable[[str, str], Path]]:
    """Writes modules of the user's own and forgets them afterwards."""
    before = set(sys.modules)
    (project / "my_models.py").write_text(MODELS, encoding="utf-8")
    (project / "my_data.py").write_text(DATA, encoding="utf-8")

    def experiment(model: str, data: str) -> Path:
        namespace: dict[str, Any] = {}
        exec(MODELS, namespace)
        torch.manual_seed(0)
        write_lightning_checkpoint(project / "own.ckpt", namespace[model.rpartition(".")[2]]())
        return write_experiment(project, "own", EXPERIMENT.format(model=model, data=data))

    yield experiment
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {"my_models", "my_data", "my_lightning"}:
            del sys.modules[name]


OWN = "experiment=own ckpt_path=own.ckpt output_dir=out"


def gradcams(names: list[str]) -> set[str]:
    return {f"gradcam/{name}/class_{index}.png" for name in names for index in range(3)}


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("my_data.WithIds", ["patient_0", "patient_1", "patient_2"]),
        ("my_data.WithIndices", ["0", "1", "2"]),
        ("my_data.WithDicts", ["patient_0", "patient_1", "patient_2"]),
    ],
)
def test_a_model_and_a_data_set_of_ones_own(
    beside: Any, command: Callable[..., Any], data: str, names: list[str]
) -> None:
    beside("my_models.Net", data)
    ended = command(OWN)
    assert ended.code == 0, ended.err
    assert pictures(Path("out")) == gradcams(names)
    found = rows(Path("out"), "test")
    assert [(name, row.label) for name, row in found.items()] == [(name, i) for i, name in enumerate(names)]
    torch.manual_seed(0)
    conv, fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)
    picture = torch.randn(3, 12, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        evidence = fc(conv(picture[None]).mean(dim=(2, 3)))[0] - fc.bias
    raw = found[names[1]].answers["gradcam@conv"].values
    assert raw.sum(axis=(1, 2)) == pytest.approx(evidence.numpy(), abs=1e-5)
    assert seewhy.verify(Path("out")) == []


def test_other_keys_of_a_group_are_arguments_of_the_class(beside: Any, command: Callable[..., Any]) -> None:
    beside("my_models.Net", "my_data.WithIds")
    torch.manual_seed(0)
    wide = nn.Module()
    wide.conv, wide.fc = nn.Conv2d(3, 7, 3, padding=1), nn.Linear(7, 2)
    torch.save(wide.state_dict(), "own.ckpt")
    ended = command(f"{OWN} +model.width=7 +model.classes=2 +data.count=5 +data.prefix=x")
    assert ended.code == 0, ended.err
    assert set(rows(Path("out"), "test")) == {f"x{i}" for i in range(5)}
    assert torch.load("out/embeddings/test_embeddings.pt", weights_only=True).shape == (5, 7)


def test_a_data_module_of_ones_own_has_its_splits(beside: Any, command: Callable[..., Any]) -> None:
    beside("my_models.Net", "my_data.Module")
    ended = command(f"{OWN} splits=[val,test]")
    assert ended.code == 0, ended.err
    assert pictures(Path("out")) == gradcams([f"{part}{i}" for part in ("va", "te") for i in range(3)])
    assert {name for name in files(Path("out")) if name.startswith("shards")} == {
        "shards/val-00000.parquet",
        "shards/test-00000.parquet",
    }


def test_a_model_without_a_head_is_asked_about_its_embedding(beside: Any, command: Callable[..., Any]) -> None:
    beside("my_models.Features", "my_data.WithIds")
    ended = command(OWN)
    assert ended.code == 0, ended.err
    assert pictures(Path("out")) == {f"gradcam/patient_{i}/embedding.png" for i in range(3)}
    assert "question: norm of the embedding (the model has no head)" in ended.err


def test_a_record_the_model_does_not_take_is_exit_code_1_and_listed(beside: Any, command: Callable[..., Any]) -> None:
    beside("my_models.Touchy", "my_data.OneDark")
    ended = command(OWN)
    assert ended.code == 1
    assert "test/patient_1: model: ValueError: too dark" in ended.err
    assert pictures(Path("out")) == gradcams(["patient_0", "patient_2"])
    assert command(OWN).code == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("model._target_=my_models.Nett", "SW-M58", "Net"),
        ("model._target_=my_modles.Net", "SW-M58", "my_models"),
        ("model._target_=os.system", "SW-M59", "not a model"),
        ("+model.widht=3", "SW-M61", "width"),
        ("data._target_=my_data.WithIdz", "SW-D93", "WithIdz"),
        ("+data.cuont=3", "SW-D93", "cuont"),
    ],
)
def test_what_cannot_be_made_is_refused(
    beside: Any, command: Callable[..., Any], words: str, code: str, told: str
) -> None:
    beside("my_models.Net", "my_data.WithIds")
    ended = command(f"{OWN} {words}")
    assert ended.code == 2
    assert f"error [{code}]" in ended.err, ended.err
    assert told in ended.err
    assert not Path("out").exists()


def test_the_import_path_is_put_back(beside: Any, command: Callable[..., Any]) -> None:
    beside("my_models.Net", "my_data.WithIds")
    before = list(sys.path)
    assert command(OWN).code == 0
    assert sys.path == before


def test_errors_come_with_their_traceback_when_debugging(beside: Any, command: Callable[..., Any]) -> None:
    beside("my_models.Net", "my_data.WithIds")
    assert "Traceback" not in command(f"{OWN} target_layer=cnv").err
    ended = command(f"{OWN} target_layer=cnv debug.enabled=true")
    assert ended.code == 2
    assert "Traceback" in ended.err
    assert "SW-L01" in ended.err


LIGHTNING = """
import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from my_data import WithIds
from my_models import Net


class Lit(lightning.LightningModule):
    def __init__(self, classes: int = 3, lr: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.model = Net(classes)

    def forward(self, image):
        return self.model(image)

    def training_step(self, batch, _):
        image, label, _ = batch
        return nn.functional.cross_entropy(self(image), label)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


class LitData(lightning.LightningDataModule):
    def setup(self, stage):
        self.data = WithIds(4)

    def train_dataloader(self):
        return DataLoader(self.data, batch_size=2)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_lightning_module_data_module_and_checkpoint_as_lightning_makes_them(
    project: Path, beside: Any, command: Callable[..., Any]
) -> None:
    import subprocess

    beside("my_models.Net", "my_data.WithIds")
    (project / "my_lightning.py").write_text(LIGHTNING, encoding="utf-8")
    train = (
        "import lightning, my_lightning as m\n"
        "trainer = lightning.Trainer(max_epochs=4, default_root_dir='.', logger=False, accelerator='cpu',"
        " enable_progress_bar=False, enable_model_summary=False)\n"
        "trainer.fit(m.Lit(), m.LitData())\n"
        "trainer.save_checkpoint('logs/epoch=3-step=8.ckpt')\n"
    )
    subprocess.run([sys.executable, "-c", train], check=True, capture_output=True, timeout=240)
    write_experiment(project, "own", EXPERIMENT.format(model="my_lightning.Lit", data="my_lightning.LitData"))
    ended = command("experiment=own ckpt_path=logs/epoch=3-step=8.ckpt output_dir=out")
    assert ended.code == 0, ended.err
    assert pictures(Path("out")) == gradcams([f"patient_{i}" for i in range(4)])
    assert "100.0%" in ended.err
