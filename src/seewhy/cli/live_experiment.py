"""A model and a data set as an experiment of the configuration describes them, for what a run alone cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seewhy.cli.arguments import quoted
from seewhy.cli.build import build_dataset, build_loaded_model
from seewhy.cli.generate import hydra_environment
from seewhy.cli.hydra_errors import explained, require_given
from seewhy.cli.live_model import LoadedModel, checkpoint_path
from seewhy.cli.schema import request_of
from seewhy.cli.search_path import register, user_folder
from seewhy.remote.address import name_of

if TYPE_CHECKING:
    from seewhy.cli.live import LiveOptions
    from seewhy.data.records import Dataset


def of_experiment(name: str, options: LiveOptions) -> tuple[LoadedModel, Dataset]:
    """The model with the checkpoint's weights and the data set of ``experiment=NAME``.

    Raises ``ConfigError`` for an experiment that cannot be composed, and what the model and the data set raise.
    """
    request = request_of(_composed(name, options))
    built, report = build_loaded_model(request)
    words = report.summary().replace(str(request.checkpoint), name_of(request.checkpoint))
    loaded = LoadedModel(built.module, words, built.preprocessing, built.class_names, built.headless)
    return loaded, build_dataset(request, built.preprocessing)


def _composed(name: str, options: LiveOptions) -> dict[str, Any]:
    folder = user_folder(options.config_dir)
    given = {"experiment": name, "ckpt_path": checkpoint_path(options.checkpoint), "accelerator": options.device}
    words = [f"{key}={value}" for key, value in given.items()]
    words += [f"data.{key}={value}" for key, value in (options.data or {}).items()]
    if options.data_root is not None:
        words.append(f"data.root={options.data_root}")
    register()
    GlobalHydra.instance().clear()
    with (
        hydra_environment(folder, ["generate_artifacts"]),
        initialize_config_module(version_base="1.3", config_module="seewhy.conf"),
    ):
        try:
            config = compose("generate_artifacts", quoted([*words, "output_dir=."]), return_hydra_config=True)
            OmegaConf.set_struct(config, False)
            config.pop("hydra", None)
            config.experiment = name
            require_given(config)
            plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
            return plain
        except (HydraException, OmegaConfBaseException) as error:
            raise explained(error, folder) from error
