"""Which shards a rank will need, and until when: read off the order, without touching data."""

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from tarn.training.streaming.blend import Blend
from tarn.training.streaming.order import EpochOrder
from tarn.training.streaming.plan import StreamPlan

MANY_PASSES = 16  # of a part in an epoch: all of it is then needed at any time, and no pass is looked at


@dataclass(frozen=True, slots=True)
class Need:
    """A shard that is read between two moments, in samples since the beginning of the first epoch asked for."""

    first: int
    last: int
    shard: int


def needs(plan: StreamPlan, epoch: int, step: int) -> Iterator[Need]:
    """From a step on, without end, epoch after epoch, soonest first. A shard comes once for each of its windows."""
    for number in itertools.count():
        begin = step * plan.global_batch if number == 0 else 0
        yield from epoch_needs(plan, epoch + number, begin, number * plan.samples)


def epoch_needs(plan: StreamPlan, epoch: int, begin: int, shift: int) -> Iterator[Need]:
    """Of one epoch, from its position `begin` on; moments are positions and `shift`."""
    if plan.blend is not None:
        yield from blend_needs(plan, plan.blend, epoch, begin, shift)
        return
    order, cycle_begin = plan.own_order(epoch), epoch % plan.repeats * plan.samples
    begin, end, shift = cycle_begin + begin, cycle_begin + plan.samples, shift - cycle_begin
    lanes = plan.ranks.lanes(plan.global_batch, order.lane_count) if plan.train else range(1)
    if cycle_begin % order.lane_count:
        lanes = range(order.lane_count)  # an epoch without whole rows shifts the next one's lanes among ranks
    each = (lane_needs(order, lane, begin, end, shift, plan.repeats) for lane in lanes)
    yield from heapq.merge(*each, key=lambda need: need.first)


def blend_needs(plan: StreamPlan, blend: Blend, epoch: int, begin: int, shift: int) -> Iterator[Need]:
    """Of the rank's lanes of those parts that lie in stores; the few samples that come to it from a neighbouring lane
    are read by range. Moments are those of whole batches."""
    lanes = plan.ranks.lanes(blend.global_batch, blend.lanes)
    remote = [part for part, origin in enumerate(blend.origins.each) if not origin.is_local]
    each = (part_needs(blend, part, lanes, epoch, begin // blend.global_batch, shift) for part in remote)
    return heapq.merge(*each, key=lambda need: need.first)


def part_needs(blend: Blend, part: int, lanes: range, epoch: int, step: int, shift: int) -> Iterator[Need]:
    """Of one part, from that step of an epoch on."""
    begins, division = blend.epoch(epoch)
    at, begin, end = (begins[part] + division.before_of(part, turn) for turn in (0, step, blend.steps))
    size, first_shard = blend.origins.each[part].samples, int(blend.origins.firsts[part])
    if end - begin > MANY_PASSES * size:
        moments = step * blend.global_batch + shift, blend.epoch_samples + shift
        yield from (Need(*moments, first_shard + shard) for shard in range(len(blend.origins.each[part].shards)))
        return
    for number in range(begin // size, -(-end // size)) if begin < end else ():
        order, before = blend.pass_order(part, number), number * size
        each = (lane_needs(order, lane, begin - before, end - before, 0, 1) for lane in lanes)
        for need in heapq.merge(*each, key=lambda need: need.first):
            first = max(need.first + before, begin)
            last = max(first, min(need.last + before, end) - 1)
            yield Need(
                division.turn_of(part, first - at) * blend.global_batch + shift,
                (division.turn_of(part, last - at) + 1) * blend.global_batch + shift,
                need.shard + first_shard,
            )


def lane_needs(order: EpochOrder, lane: int, begin: int, end: int, shift: int, repeats: int) -> Iterator[Need]:
    """Of the windows of a lane that reach beyond position `begin` of the cycle and start before position `end`."""
    first_sample, windows, row = order.lanes[lane].begin, order.lanes[lane].windows, order.lane_count * repeats
    for start, stop in itertools.pairwise(windows.tolist()):
        excess = order.rows * row  # the positions from here on go to the longer lanes alone
        first, last = min(start * row + lane, excess), stop * row + lane
        if last <= begin or first >= end or start == stop:
            continue
        for shard in order.shards_between(first_sample + start, first_sample + stop):
            yield Need(max(first, begin) + shift, min(last, end) + shift, shard)
