"""From who speaks in each short chunk to who speaks in the whole call, by how neighbouring chunks overlap.

A segmentation model tells the voices of a few seconds apart and names them anew in every chunk. Chunks
overlap by most of their length, so that a chunk's voices can be recognised in what was made of the chunks
around it: of all ways to name them the one is chosen that differs least, frame by frame (a linear assignment;
Kuhn 1955, Naval Research Logistics Quarterly 2, 83). This is done once from left to right, and then again for
every chunk against all the others until nothing changes. What a frame is in the end is decided by the chunks
that hold it, their middle weighing most (a Hamming window, as in pyannote.audio's own aggregation).

Its limits. Nothing here knows what a voice sounds like: identity is handed on from chunk to chunk, and where
it is lost, it is lost for the rest of the call. That happens when both parties are silent for about as long
as a chunk, and when the model takes two similar voices for one across a change of turns. Where it matters,
record the parties on a channel each, or use a pipeline with speaker embeddings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Activity = NDArray[np.float64]
_MOST_ROUNDS = 20


def stitched(chunks: Activity, starts: NDArray[np.intp], voices: int) -> Activity:
    """How much each of ``voices`` speaks in every frame of the call.

    Args:
        chunks: Of shape ``(chunks, frames, local voices)``, each from 0 to 1.
        starts: The frame of the call at which each chunk begins, in order.
        voices: How many there are in the call at most. When a chunk tells more apart, the others are counted
            with the voice they are nearest to.

    Returns:
        Of shape ``(frames, voices)``, each from 0 to 1.
    """
    count, frames, _ = chunks.shape
    weights = np.hamming(frames)[:, None]
    total = np.zeros((int(starts[-1]) + frames, voices))
    weight = np.zeros((len(total), 1))
    named = np.zeros((count, frames, voices))
    for index in range(count):
        place = slice(int(starts[index]), int(starts[index]) + frames)
        named[index] = _named(chunks[index], total[place], weight[place], voices)
        total[place] += named[index] * weights
        weight[place] += weights
    for _round in range(_MOST_ROUNDS):
        changed = False
        for index in range(count):
            place = slice(int(starts[index]), int(starts[index]) + frames)
            others = total[place] - named[index] * weights
            renamed = _named(chunks[index], others, weight[place] - weights, voices)
            if not np.array_equal(renamed, named[index]):
                changed = True
                named[index] = renamed
                total[place] = others + renamed * weights
        if not changed:
            break
    return np.asarray(total / np.maximum(weight, 1e-12))


def _named(chunk: Activity, around: Activity, weight: Activity, voices: int) -> Activity:
    """The chunk with its voices in the order of the call's.

    ``around`` is the weighted sum of what other chunks say of these frames.
    """
    from scipy.optimize import linear_sum_assignment

    # |a − g| times how much is known about the frame: where nothing is known, all namings are alike.
    differs = np.abs(chunk[:, :, None] * weight[:, :, None] - around[:, None, :]).sum(axis=0)
    named = np.zeros((len(chunk), voices))
    local, of_call = linear_sum_assignment(differs)
    named[:, of_call] = chunk[:, local]
    for left_over in set(range(chunk.shape[1])) - set(local.tolist()):
        nearest = int(np.argmin(differs[left_over]))
        named[:, nearest] = np.maximum(named[:, nearest], chunk[:, left_over])
    return named
