"""`python -m benchmarks.met KEY FOLDER`: the instrument's hit rate on the Met's artworks beside the published one."""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from atlas_assets.roles.declared import ContractBroken
from atlas_assets.roles.embedding import EmbeddingWork
from atlas_assets.search.encoding import loaded, require_encoder
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.devices import DeviceUnavailable
from atlas_resources.models.weights import WeightsMismatch, WeightsMissing
from benchmarks.met.data import DataMissing, Pictures, find_parts, read_relevant
from benchmarks.met.evaluation import has_mteb, hit_rates, hit_rates_by_mteb, search
from benchmarks.met.published import PUBLISHED, verdict
from benchmarks.met.vectors import embed_part


def measure(instrument: Instrument, folder: Path, kept: Path | None, threads: int) -> int:
    """Embeds, searches, evaluates and prints. Returns the exit status: 1 if mteb says another figure.

    Raises:
        DataMissing: the folder is not the data set.
        WeightsMissing, WeightsMismatch, DeviceUnavailable, ContractBroken: the instrument cannot run here.
    """
    corpus, queries, judgements = find_parts(folder)
    relevant = read_relevant(judgements)
    at = kept and kept / f"{instrument.key}-{instrument.identity.fingerprint[:12]}"
    with loaded(instrument) as work:
        vectors = {part.name: _embedded(work, part, at, threads) for part in (corpus, queries)}
    ids = {part.name: part.ids() for part in (corpus, queries)}
    asked = [row for row, query in enumerate(ids["queries"]) if query in relevant]
    query_ids = [ids["queries"][row] for row in asked]
    if not query_ids:
        raise DataMissing(f"{folder}: no query has a judgement")
    results = search(vectors["queries"][asked], query_ids, vectors["corpus"], ids["corpus"])
    rates = hit_rates(relevant, results)
    print(f"\n{instrument.key}: {len(query_ids):,} queries among {len(ids['corpus']):,} pictures")
    print("| k | hit rate (recall@k of the published table) |\n|---|---|")
    for k, rate in rates.items():
        print(f"| {k} | {rate:.5f} |")
    published = PUBLISHED.get((instrument.identity.model_id, instrument.identity.model_sha))
    print(verdict(instrument.key, rates[1], published, (len(query_ids), len(ids["corpus"]))))
    return _print_mteb(rates, hit_rates_by_mteb(relevant, results, ids["corpus"]) if has_mteb() else None)


def _print_mteb(rates: dict[int, float], by_mteb: dict[int, float] | None) -> int:
    if by_mteb is None:
        print("mteb is not installed (the extra `mteb`): the figures are of this benchmark's own evaluation")
        return 0
    if by_mteb == rates:
        print("mteb's own task gives the same figures for these rankings")
        return 0
    print(f"mteb's own task gives OTHER figures for these rankings: {by_mteb}")
    return 1


def _embedded(work: EmbeddingWork, part: Pictures, kept: Path | None, threads: int) -> np.ndarray:
    found, done, count = [], 0, part.count()
    for line, vectors in embed_part(work, part, kept, threads):
        found.append(vectors)
        done += len(vectors)
        print(f"{line}; {done:,} of {count:,}", file=sys.stderr)
    return np.concatenate(found)


def main(arguments: list[str]) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.met", description=__doc__)
    parser.add_argument("instrument", help="key, model id or alias of an embedding instrument")
    parser.add_argument("folder", type=Path, help="the data set as the hub stores it: corpus/, queries/, qrels/")
    parser.add_argument("--keep", type=Path, help="keep vectors in this folder, and continue from those that are there")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="that decode and prepare pictures")
    options = parser.parse_args(arguments)
    try:
        instrument = require_encoder(read_registry(), options.instrument)
        return measure(instrument, options.folder, options.keep, max(1, options.threads))
    except KeyError as error:
        print(error.args[0])
    except (DataMissing, WeightsMissing, WeightsMismatch, DeviceUnavailable, ContractBroken, ValueError) as error:
        print(error)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
