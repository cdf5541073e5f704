"""One llama.cpp server in a process of its own: `python -m integrations.embedded.server …`.

Its parent must set OMP_WAIT_POLICY=passive before the start: OpenMP's default is to spin, which
on a busy machine cost a factor of ten (0.6–3 instead of 10–31 tokens a second). A process of its
own also keeps a crash in native code, and its threads, away from everything else.
"""

import argparse
import os
import signal
from pathlib import Path

import xllamacpp

from integrations.embedded.leash import die_at_end_of_input

# The server notices a closed connection only between batches: 48 tokens take half a second on two
# slow cores. That costs some 15 % of prompt speed against batches of 512.
BATCH_TOKENS = 48
PROMPT_CACHE_MIB = 64
NICENESS = 5  # routing, paying and the database go first when the cores are few


def parameters(
    *, model: Path, alias: str, port: int, threads: int, slots: int, slot_context: int
) -> xllamacpp.CommonParams:
    """llama.cpp's parameters for one model on loopback, with `slots` requests at a time."""
    p = xllamacpp.CommonParams()
    p.model.path = str(model)
    p.model_alias = {alias}
    p.hostnames = ["127.0.0.1"]
    p.port = port
    p.n_parallel = slots
    p.n_ctx = slots * slot_context
    p.n_batch = p.n_ubatch = BATCH_TOKENS
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
    # The weights are repacked for this processor; a mapped file would be kept beside them
    # (2.3 GB instead of 1.7 GB for the 1.5B model).
    p.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    p.cache_ram_mib = PROMPT_CACHE_MIB
    p.endpoint_slots = True
    p.ui = False
    p.cors_origins = ""
    p.offline = True
    p.verbosity = 1
    return p


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--slot-context", type=int, default=8192)
    parser.add_argument("--leash", action="store_true", help="end when standard input ends")
    args = parser.parse_args()
    os.nice(NICENESS)
    # Blocked before any native thread starts, so that all of them inherit it.
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    if args.leash:
        die_at_end_of_input()
    running = xllamacpp.Server(
        parameters(
            model=args.model,
            alias=args.alias,
            port=args.port,
            threads=args.threads,
            slots=args.slots,
            slot_context=args.slot_context,
        )
    )
    signal.sigwait(stop)
    assert running is not None
    os._exit(0)  # there is nothing to save, and joining its threads takes up to two seconds


if __name__ == "__main__":
    main()
