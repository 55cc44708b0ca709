"""What stands in the `data` of each event, and when it is told; for who reads them.

Fields may be added to an event within a major version, and none is taken away: readers pass over what they do not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from schemas.events import EventType
from schemas.releasing import ReleaseStatus
from schemas.settling import FindingKind
from schemas.status import Status

E = EventType

Number = Annotated[str, Field(pattern=r"^\+[0-9]{1,15}$", description="E.164 with the plus")]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="UTC")]
Amount = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$", description="an amount as decimal text")]
Metadata = Annotated[dict[str, Any], Field(description="the request's, untouched")]
RequestKey = Annotated[
    str | None, Field(description="the request's, or the id of its message; null for a line of an order that had none")
]
Repeat = Annotated[bool, Field(description="whether the request came before, or its number was asked for before")]
ErrorText = Annotated[str | None, Field(description="for people")]
ErrorCode = Annotated[str | None, Field(description="for programs")]


class PurchaseData(BaseModel):
    """A purchase as it is then, with what is its request's own."""

    purchase_id: str
    order_id: str | None
    idempotency_key: RequestKey
    number: Number
    provider: Annotated[str, Field(description="its alias in providers.toml")]
    status: Status
    success: Annotated[bool | None, Field(description="null while it is open or held")]
    error: ErrorText
    error_code: ErrorCode
    already_owned: Annotated[bool, Field(description="whether the number was ours before it was asked for")]
    provider_number_id: Annotated[str | None, Field(description="the provider's own id of the number")]
    attempts: Annotated[int, Field(ge=0, description="calls that were made to buy it")]
    monthly_price: Amount | None
    setup_price: Amount | None
    currency: Annotated[str | None, Field(description="ISO 4217")]
    metadata: Metadata


class ChargedTwice(PurchaseData):
    """A purchase of which two calls were executed."""

    provider_number_ids: Annotated[list[str | None], Field(description="of each call; null where it told none")]


class OfRelease(PurchaseData):
    """A purchase, and the request to give it back; without one, it ended by itself or by a person."""

    release_id: str | None = None
    release_status: ReleaseStatus | None = None


class AcceptedPurchase(PurchaseData):
    """A request to buy or to give back that is accepted, with the status that its purchase has then."""

    repeat: Repeat
    release_id: Annotated[str | None, Field(description="of a request to give back")] = None
    release_status: ReleaseStatus | None = None


class WishesData(BaseModel):
    """All wishes of an order by criteria, counted together."""

    count: Annotated[int, Field(description="numbers that are wanted")]
    found: int
    bought: int
    held: int
    refused: int
    missing: int
    reasons: Annotated[list[str], Field(description="why some came to less")]


class OrderData(BaseModel):
    """An order, and how its lines stand."""

    order_id: str
    name: str | None
    idempotency_key: RequestKey
    lines: int
    counts: Annotated[dict[str, int], Field(description="lines by the status of their purchase")]
    metadata: Metadata
    wishes: Annotated[WishesData | None, Field(description="of an order by criteria")] = None


class AcceptedOrder(OrderData):
    """An order that is accepted."""

    repeat: Repeat


class RejectedRequest(BaseModel):
    """A message that cannot be accepted. It is kept whole in the table `rejected_request`."""

    request_id: Annotated[str, Field(description="the message's own where it had one, else `rejected_id`")]
    rejected_id: str
    message_id: str | None
    task: str | None
    error: ErrorText
    error_code: Annotated[str, Field(description="for programs, like invalid_request or key_conflict")]
    idempotency_key: Annotated[str | None, Field(description="as it was sent, where it was")] = None
    number: Annotated[str | None, Field(description="as it was sent, where it was")] = None
    provider: Annotated[str | None, Field(description="as it was sent, where it was")] = None
    pool: Annotated[str | None, Field(description="as it was sent, where it was")] = None


class ProviderData(BaseModel):
    """A provider that is paused, or goes on."""

    provider: str
    reason: Annotated[str | None, Field(description="why it is, or was, paused")]
    cause: Annotated[str | None, Field(description="for programs: account, refusals, failures, person, ...")]
    paused_at: Time
    probe_at: Annotated[Time | None, Field(description="when one purchase is tried; null: a person ends the pause")]
    by: Annotated[str | None, Field(description="who let it go on though the database went back in time")] = None
    note: Annotated[str | None, Field(description="and why")] = None


class LowBalance(BaseModel):
    """A provider's balance that is at `low_balance` or below."""

    provider: str
    balance: Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
    low_balance: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")]
    currency: str


class FindingData(BaseModel):
    """A difference between what a provider says we own and the table."""

    finding_id: str
    kind: FindingKind
    number: Number
    provider: str
    purchase_id: str | None
    status: Annotated[str | None, Field(description="of the purchase")]
    provider_number_ids: list[str]
    usable: Annotated[bool, Field(description="false while the provider sets the number up")]


class PoolNumber(BaseModel):
    """A number of a pool."""

    number: Number
    provider: str
    provider_number_id: str | None
    purchase_id: str | None


class PoolAnswer(BaseModel):
    """What was taken from a pool, or given back to it."""

    request_id: str
    pool: str
    taker: str | None
    success: bool
    error: ErrorText
    error_code: ErrorCode
    metadata: Metadata
    repeat: Annotated[bool, Field(description="whether the request was answered before")]
    numbers: list[PoolNumber]


class PoolRefusal(PoolAnswer):
    """A request to a pool that is refused. `numbers` are those of an earlier take that are left."""

    task: Literal["take", "return"]


class PoolData(BaseModel):
    """How a pool stands; what was not counted is null."""

    pool: str
    status: Literal["ok", "exhausted", "blocked"]
    reason: str | None
    available: int | None
    on_the_way: int | None
    held: int | None
    wanted: Annotated[int | None, Field(description="numbers that it is short of")]
    low: int
    target: int


@dataclass(frozen=True)
class Told:
    """When an event is told, and the models of its data: one of them fits."""

    when: str
    data: tuple[type[BaseModel], ...]


EVENTS: dict[EventType, Told] = {
    E.PURCHASED: Told("A number is bought.", (PurchaseData,)),
    E.FAILED: Told("A number is not bought, for good.", (PurchaseData,)),
    E.HELD: Told("A purchase waits for a person.", (PurchaseData,)),
    E.CANCELLED: Told("A purchase was cancelled before it was made.", (PurchaseData,)),
    E.RELEASED: Told("A number was given back, and is not ours any more.", (OfRelease,)),
    E.KEPT: Told("A number that was to be given back is ours still; `error` says why.", (OfRelease,)),
    E.CHARGED_TWICE: Told("A number was charged for twice.", (ChargedTwice,)),
    E.ORDER_COMPLETED: Told("Every line of an order is at its end, or held.", (OrderData,)),
    E.ORDER_UPDATED: Told("An order is complete once more: more became of its lines.", (OrderData,)),
    E.ACCEPTED: Told("A request is accepted.", (AcceptedPurchase, AcceptedOrder)),
    E.REJECTED: Told("A message cannot be accepted; it is not tried again.", (RejectedRequest,)),
    E.PROVIDER_PAUSED: Told("Nothing is bought from a provider until its pause ends.", (ProviderData,)),
    E.PROVIDER_RESUMED: Told("A provider's pause ended.", (ProviderData,)),
    E.PROVIDER_LOW_BALANCE: Told("A provider's balance is low.", (LowBalance,)),
    E.AUDIT_ORPHAN: Told("A number is ours at the provider, and no purchase stands for it.", (FindingData,)),
    E.AUDIT_EVIDENCE: Told("A number is ours at the provider, and its purchase does not know it yet.", (FindingData,)),
    E.AUDIT_MISSING: Told("A number was bought, and the provider does not show it.", (FindingData,)),
    E.AUDIT_ABSENT: Told("A purchase is held though nothing says that it was made.", (FindingData,)),
    E.AUDIT_CHARGED_TWICE: Told("A number is ours under two ids, or was bought twice.", (FindingData,)),
    E.POOL_TAKEN: Told("Numbers were taken from a pool.", (PoolAnswer,)),
    E.POOL_RETURNED: Told("A number was given back to its pool.", (PoolAnswer,)),
    E.POOL_REFUSED: Told("A request to a pool is refused.", (PoolRefusal,)),
    E.POOL_EXHAUSTED: Told("Less can be ordered for a pool than it is short of.", (PoolData,)),
    E.POOL_BLOCKED: Told("What is under way for a pool does not move, or its runs fail.", (PoolData,)),
    E.POOL_RECOVERED: Told("A pool that was exhausted or blocked fills up again.", (PoolData,)),
}
"""Each type of the results channel."""
