"""``seewhy``: one word, then what to do. Nothing heavy is imported before a sub-command needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from seewhy import __version__
from seewhy.cli.embedding_commands import EMBEDDING_COMMANDS, add_embedding_commands
from seewhy.cli.evaluate import add_evaluate, run_evaluate
from seewhy.cli.explain import add_explain, run_explain
from seewhy.cli.fetch import add_fetch, run_fetch
from seewhy.cli.layers import add_layers, run_layers
from seewhy.cli.live_options import settings_first
from seewhy.cli.merge import add_merge, run_merge
from seewhy.cli.metrics_table import add_metrics, run_metrics
from seewhy.cli.printable import printable_lines
from seewhy.cli.render import add_render, run_render
from seewhy.cli.report import add_report, run_report
from seewhy.cli.selftest import add_selftest, run_selftest
from seewhy.cli.serve import add_serve, run_serve
from seewhy.values import SeewhyError

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main() -> None:
    """The console script; a reader that has seen enough, such as ``head``, ends it quietly."""
    try:
        code = seewhy(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_BROKEN_PIPE
    sys.exit(code)


def seewhy(words: Sequence[str]) -> int:
    """Run a sub-command; the exit code."""
    if words[:1] == ["generate"]:
        from seewhy.cli.generate import generate_artifacts

        return generate_artifacts(words[1:])
    asked = _parser().parse_args(settings_first(words) if words[:1] in (["serve"], ["render"]) else words)
    asked.words = list(words)
    run: dict[str, Callable[[argparse.Namespace], int]] = {
        "explain": run_explain, "evaluate": run_evaluate, "layers": run_layers, "metrics": run_metrics,
        "render": run_render, "report": run_report, "selftest": run_selftest, "serve": run_serve, "demo": _demo,
        "verify": _verify, "merge": run_merge, "fetch": run_fetch, **EMBEDDING_COMMANDS,
    }  # fmt: skip
    try:
        return run[asked.command](asked)
    except SeewhyError as error:
        print(f"error {printable_lines(str(error))}", file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seewhy", description="See why your vision model decided.")
    parser.add_argument("--version", action="version", version=f"seewhy {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_explain(commands)
    add_evaluate(commands)
    add_fetch(commands)
    add_layers(commands)
    add_merge(commands)
    add_metrics(commands)
    add_render(commands)
    add_report(commands)
    add_selftest(commands)
    add_serve(commands)
    add_embedding_commands(commands)
    commands.add_parser("generate", help="embeddings, maps and grades of a data set (generate_artifacts)")
    demo = commands.add_parser("demo", help="explain two small shipped models on cluttered digits, in about a minute")
    demo.add_argument(
        "--train", action="store_true", help="train the two models from scratch first (under half an hour)"
    )
    demo.add_argument("--output-dir", type=Path, default=Path("demo"), help="where to put everything (default: demo)")
    verify = commands.add_parser("verify", help="check every file of a run directory against its recorded digest")
    verify.add_argument("directory", type=Path, metavar="DIR")
    return parser


def _demo(asked: argparse.Namespace) -> int:
    from seewhy.cli.demo import run_demo

    return run_demo(asked.output_dir, train=asked.train)


def _verify(asked: argparse.Namespace) -> int:
    from seewhy.cli.local_run import run_here
    from seewhy.store.verify import verify

    directory = run_here(asked.directory)
    findings = verify(directory)
    for finding in findings:
        print(finding)
    print(f"{directory}: {len(findings)} findings" if findings else f"{directory}: every file is as it was written")
    return int(bool(findings))


if __name__ == "__main__":
    main()
