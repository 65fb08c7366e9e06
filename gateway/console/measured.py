"""What the control plane measures of itself: whether acts that take something away were confirmed, and how soon.

Written to its slot when something was confirmed and when somebody reads the metrics, so a quiet one costs nothing.
"""

from gateway.telemetry.histogram import observe
from gateway.telemetry.metrics import place_of
from gateway.telemetry.own_usage import OwnUsage
from gateway.telemetry.slots import Slot
from keystore.confirmation import Confirmation


class PlaneMeasures:
    """Of the process that this is."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._usage = OwnUsage(slot, "control")
        self._yes = place_of("nqgate_confirmations", "yes")
        self._no = place_of("nqgate_confirmations", "no")
        self.measure()

    def confirmed(self, confirmation: Confirmation) -> None:
        self._slot.add(self._yes if confirmation.proven else self._no, 1)
        observe(self._slot, "nqgate_confirmation_seconds", confirmation.took_ms / 1000)
        self._slot.write()

    def measure(self) -> None:
        self._usage.measure()
        self._slot.write()
