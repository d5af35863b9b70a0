"""What is measured in a page: its worker's messages, long tasks, keys until they are seen."""

from __future__ import annotations

from typing import Any

from tests.browser.seat import Seat

SCRIPT = """
(() => {
  const told = { messages: [], tasks: [], keys: [] };
  Object.defineProperty(globalThis, "measured", { value: told });
  const Plain = globalThis.Worker;
  globalThis.Worker = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        const many = Object.values(data.counts ?? {}).reduce((sum, one) => sum + one, 0);
        told.messages.push([performance.now(), data.kind, many]);
      });
    }
  };
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) told.tasks.push([one.startTime, one.duration]);
  }).observe({ type: "longtask", buffered: true });
  addEventListener("keydown", ({ timeStamp }) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => told.keys.push(performance.now() - timeStamp);
    port2.postMessage(0); // comes after the frame was painted
  }), { capture: true });
})();
"""
"""Runs in a page before its own: what it writes down, `measured` gives."""


async def clear(seat: Seat) -> None:
    """Begin to measure anew."""
    await seat.page.evaluate("() => { for (const one of Object.values(measured)) one.length = 0; }")


async def measured(seat: Seat) -> dict[str, list[Any]]:
    """Return what was measured: `messages` [at, kind, events], `tasks` [at, ms], `keys` ms each."""
    return dict(await seat.page.evaluate("() => measured"))


async def heap_mib(seat: Seat) -> float:
    """Return how much of the page's memory is in use once it was tidied up."""
    session = await seat.context.new_cdp_session(seat.page)
    await session.send("HeapProfiler.collectGarbage")
    usage = await session.send("Runtime.getHeapUsage")
    await session.detach()
    return float(usage["usedSize"]) / 2**20


def share_of(values: list[float], share: float) -> float:
    """Return the value that so large a share is not above; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
