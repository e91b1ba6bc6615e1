"""The program of the embedded server's own process: llama.cpp behind an OpenAI-compatible address.

Run by path with one JSON argument; imports nothing of the project. It prints its address as
one line and ends when its standard input does or when its parent dies.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

_PARENT_CHECK_SECONDS = 1.0


def _serve(settings: dict[str, Any]) -> Any:
    import xllamacpp  # type: ignore[import-untyped]  # ships no type information

    params = xllamacpp.CommonParams()
    params.model.path = settings["weights"]
    params.port = settings["port"]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.n_gpu_layers = 0
    params.cont_batching = True
    params.cache_prompt = True
    params.cache_ram_mib = settings["prompt_cache_mib"]
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.model_alias = {settings["alias"]}
    params.n_threads_http = settings["slots"] + 4
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1
    return xllamacpp.Server(params)


def _wait_for_the_end(parent: int) -> None:
    while os.getppid() == parent:
        ready, _, _ = select.select([0], [], [], _PARENT_CHECK_SECONDS)
        if ready and not os.read(0, 1):
            return


def main() -> None:
    """Serve until the parent goes."""
    parent = os.getppid()
    server = _serve(json.loads(sys.argv[1]))
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    _wait_for_the_end(parent)
    os._exit(0)  # llama.cpp's threads hold nothing worth an orderly end


if __name__ == "__main__":
    main()
