"""The right to do something, held in a store: it has an owner, and ends by itself if the owner is not heard of.

A lease saves work; it does not protect data. An owner that is paused for longer than its lease goes on without knowing,
so whatever it writes must be written once. Clocks of machines may differ by CLOCK_TOLERANCE_SECONDS.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable

from pydantic import Field, ValidationError

from atlas_resources.files.contract import Contract
from atlas_resources.store.protocol import Changed, KeyMissing, Store, StoreUnreachable

LOG = logging.getLogger(__name__)
LEASE_SECONDS = 300.0
"""How long an owner that is not heard of keeps a lease. It is renewed three times as often."""
CLOCK_TOLERANCE_SECONDS = 60.0
WAIT_SECONDS = 2.0


class LeaseRecord(Contract):
    """The bytes of a lease. `token` and `number` make each state of it differ from every other."""

    owner: str = Field(description="Machine and process that holds it, or held it last.")
    token: str = Field(description="A random word for each time that it was taken.")
    number: int = Field(description="How often it was written.", ge=1)
    expires_at: float = Field(description="Seconds since 1970, by the owner's clock. 0 if it was given back.")
    deaths: int = Field(description="How many owners, one after another, were not heard of again.", ge=0)


class Lease:
    """A lease that this process holds.

    Attributes:
        deaths: how many owners before it were not heard of again, one after another.
    """

    def __init__(self, leases: "Leases", key: str, record: LeaseRecord, tag: str):
        """Made by `Leases.take`."""
        self.deaths = record.deaths
        self._leases = leases
        self._key = key
        self._record = record
        self._tag: str | None = tag
        self._lock = threading.Lock()

    @property
    def is_held(self) -> bool:
        """Whether nobody has taken it over, as far as this process has heard."""
        return self._tag is not None

    def renew(self) -> None:
        """Puts off its end. If somebody has taken it over, it is lost; if the store does not answer, it is kept."""
        self._write(self._leases.now() + self._leases.seconds, self._record.deaths)

    def give_back(self, deaths: int = 0) -> None:
        """Lets others take it. What they are told of deaths is `deaths`."""
        self._leases.forget(self)
        self._write(0.0, deaths)
        self._tag = None

    def _write(self, expires_at: float, deaths: int) -> None:
        with self._lock:
            if self._tag is None:
                return
            changes = {"number": self._record.number + 1, "expires_at": expires_at, "deaths": deaths}
            record = self._record.model_copy(update=changes)
            try:
                try:
                    self._tag = self._leases.store.replace(self._key, _bytes(record), self._tag)
                except Changed:
                    record = self._after_own(record)
                    self._tag = self._leases.store.replace(self._key, _bytes(record), self._tag)
                self._record = record
            except (Changed, KeyMissing):
                LOG.warning(f"{self._key}: another worker has taken over, since this one was not heard of in time")
                self._tag = None
            except StoreUnreachable as error:
                LOG.warning(f"{self._key}: not renewed: {error}")

    def _after_own(self, record: LeaseRecord) -> LeaseRecord:
        """The record as the next state, if the present one is a write of ours whose answer was lost. Raises Changed."""
        found = self._leases.store.read(self._key)
        if _token_of(found.content) != record.token:
            raise Changed(self._key)
        self._tag = found.tag
        return record.model_copy(update={"number": record.number + 1})


class Leases:
    """Takes leases of one store, and renews those that this process holds, on a thread that ends with the process."""

    def __init__(
        self, store: Store, owner: str, *, seconds: float = LEASE_SECONDS, now: Callable[[], float] = time.time
    ):
        """Nothing is written yet.

        Args:
            store: where leases are.
            owner: named in each lease, for people.
            seconds: how long a lease lasts without being renewed.
            now: the clock, seconds since 1970.
        """
        self.store = store
        self.seconds = seconds
        self.now = now
        self._owner = owner
        self._held: set[Lease] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def take(self, key: str) -> Lease | None:
        """Takes a lease that nobody holds, or whose owner was not heard of; None if somebody holds it.

        Raises:
            StoreUnreachable: the store does not answer.
        """
        record, tag, deaths = None, None, 0
        try:
            found = self.store.read(key)
            tag = found.tag
            record = LeaseRecord.model_validate_json(found.content)
        except (KeyMissing, ValidationError):  # what is no lease holds nobody off
            pass
        if record is not None:
            if self.now() <= record.expires_at + CLOCK_TOLERANCE_SECONDS:
                return None
            deaths = record.deaths + (record.expires_at > 0)
        number = record.number + 1 if record else 1
        token = secrets.token_hex(8)
        expires_at = self.now() + self.seconds
        taken = LeaseRecord(owner=self._owner, token=token, number=number, expires_at=expires_at, deaths=deaths)
        try:
            lease = Lease(self, key, taken, self.store.replace(key, _bytes(taken), tag))
        except Changed:
            return None
        self._keep(lease)
        return lease

    def forget(self, lease: Lease) -> None:
        """Renews a lease no more."""
        with self._lock:
            self._held.discard(lease)

    def renew_all(self) -> None:
        """Renews every lease that this process holds."""
        with self._lock:
            held = list(self._held)
        for lease in held:
            lease.renew()

    def _keep(self, lease: Lease) -> None:
        with self._lock:
            self._held.add(lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_for_ever, name="leases", daemon=True)
                self._thread.start()

    def _renew_for_ever(self) -> None:
        while True:
            time.sleep(self.seconds / 3)
            self.renew_all()


def _token_of(content: bytes) -> str | None:
    try:
        return LeaseRecord.model_validate_json(content).token
    except ValidationError:
        return None


def _bytes(record: LeaseRecord) -> bytes:
    return record.model_dump_json().encode()
