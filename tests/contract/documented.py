"""What a look at each provider is answered by its documents, and what none of them may take for an answer.

A new provider adds its pages to `listed`, and its get to `gets`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.scripted import reply
from tests.tasks.providers.adapters import ACCOUNT_SID, ID, bird_record, plivo_record, success, vonage_record

LOOKS = ("fluents", "signalwire", "vogent", "bird", "twilio", "telnyx", "plivo", "vonage")
ENTRIES = {
    **{"fluents": "items", "signalwire": "data", "vogent": "data", "bird": "results"},
    "twilio": "incoming_phone_numbers",
    "telnyx": "data",
    "plivo": "objects",
    "vonage": "numbers",
}
NUMBER_KEY = {"bird": "numberString", "twilio": "phone_number", "telnyx": "phone_number", "vonage": "msisdn"}
ALWAYS = {
    **{"fluents": "has_more", "signalwire": "links", "vogent": "cursor", "twilio": "next_page_uri"},
    **{"telnyx": "meta", "plivo": "meta", "vonage": "count"},
}
"""The key beside the list that tells of further pages, where there always is one."""

NUMBER = "+4930901820"
OTHER, THIRD, FOURTH, FIFTH = (f"{NUMBER}{end}" for end in (11, 22, 33, 44))
"""Numbers that begin with ours: what every filter by number lets through."""

CONTAINING = f"+84{NUMBER[1:]}"
"""One in which ours stands, not at its beginning."""

FILTER = {
    **{"signalwire": "filter_number", "bird": "numberString", "twilio": "PhoneNumber"},
    **{"telnyx": "filter[phone_number]", "plivo": "number_startswith"},
}
"""By what the list is asked for a number: numbers in which it stands, or `BEGINS` numbers that begin with it."""

BEGINS = ("bird", "plivo")
_PATH = "/api/relay/rest/phone_numbers"
_PLIVO = "/v1/Account/MASANDBOX00000000001/Number/"
_TWILIO = f"/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers.json"


@dataclass(frozen=True)
class Said:
    """One HTTP answer; a body of bytes goes out as it is."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return reply(self.status, self.body, self.headers)


def record(kind: str, number: str) -> dict[str, Any]:
    """An owned number as the provider's list shows it."""
    if kind == "bird":
        return {**bird_record(number), "id": f"id-{number}"}
    if kind == "telnyx":
        return {"id": f"id-{number}", "phone_number": number, "status": "active"}
    if kind == "plivo":
        return plivo_record(number)
    if kind == "vonage":
        return vonage_record(number)
    return {**success(kind, number)[1], "sid" if kind == "twilio" else "id": f"id-{number}"}


def page(kind: str, *numbers: str, index: int = 0, last: bool = True, total: int | None = None) -> dict[str, Any]:
    """A page of the list; *index* counts from 0."""
    found = {ENTRIES[kind]: [record(kind, number) for number in numbers]}
    if kind == "fluents":
        return {**found, "page": index + 1, "size": 100, "has_more": not last, "total_is_estimated": False}
    if kind == "signalwire":
        following = {} if last else {"next": f"{_PATH}?page_number={index + 1}&page_token=PA{index}"}
        return {"links": {"self": _PATH, **following}, **found}
    if kind == "telnyx":
        total = len(numbers) if total is None else total
        pages = index + 1 if last else index + 2
        meta = {"page_number": index + 1, "page_size": 250, "total_pages": pages, "total_results": total}
        return {**found, "meta": meta}
    if kind == "vogent":
        return {**found, "cursor": None if last else f"after-{index}"}
    if kind == "vonage":
        return {"count": len(numbers) + (not last) if total is None else total, **found}
    if kind == "plivo":
        following = None if last else f"{_PLIVO}?limit=20&offset={20 * (index + 1)}"
        return {"api_id": ID, "meta": {"limit": 20, "next": following}, **found}
    if kind == "twilio":
        following = None if last else f"{_TWILIO}?PageSize=1000&Page={index + 1}&PageToken=PAPN{index}"
        return {**found, "uri": _TWILIO, "page_size": 1000, "next_page_uri": following}
    return found if last else {**found, "nextPageToken": f"after-{index}"}


def gets(kind: str) -> list[Said]:
    """What comes before the list for a number that is not ours: a get that knows nothing."""
    missing = {"fluents": {"message": "Number not found", "error": "Not Found", "statusCode": 404}}
    if kind == "vonage":
        return [Said(200, {})]
    missing["bird"] = {"code": "NotFound", "message": "Long Code Number not found"}
    return [Said(404, missing[kind])] if kind in missing else []


def listed(kind: str, *pages: Sequence[str]) -> list[Said]:
    """A whole list, page by page; of two pages with a number each where none are given."""
    wanted = pages or ([OTHER], [THIRD])
    last, total = len(wanted) - 1, sum(map(len, wanted))
    return [
        Said(200, page(kind, *one, index=index, last=index == last, total=total)) for index, one in enumerate(wanted)
    ]


def looked(kind: str, *pages: Sequence[str]) -> list[Said]:
    """All answers to a look that finds nothing: a list of several pages is read twice."""
    read = listed(kind, *pages)
    return [*gets(kind), *read, *(read if len(read) > 1 else [])]


def hostile(kind: str) -> Iterator[Said]:
    """Answers that say nothing about what is ours, wherever in a look they come."""
    whole = page(kind, OTHER, index=1)
    empty = page(kind, index=1)
    yield from _without_a_list(whole)
    for key in ("errors", "error", "message", "warnings", "detail", "meta"):
        yield from (Said(200, {**body, key: ["part of the list was not read"]}) for body in (whole, empty))
    for word in ({"partial": True}, {"success": False}, {"statusCode": 503}, {"records": [record(kind, NUMBER)]}):
        yield Said(200, {**empty, **word})
    for entry in (*_unreadable(kind), *(_called_user_names() if kind == "vogent" else ())):
        yield Said(200, {**whole, ENTRIES[kind]: [entry]})
        yield Said(200, {**whole, ENTRIES[kind]: [record(kind, THIRD), entry]})
    yield from _further_pages(kind, whole)
    yield from (Said(200, body, headers) for headers in OTHERWISE for body in (whole, empty))
    if kind == "fluents":
        yield from (Said(200, {**whole, "total": total}) for total in (99, "1", -1, [], True))
        # as from a cache that leaves the query out of its key
        yield from (Said(200, {**whole, "page": index}) for index in (7, "2", [], True, 0))
        yield from (Said(200, {**whole, "size": size}) for size in (0, 1, 10, -1, "100", [], {}, True))
        yield from (Said(200, {**whole, "total": total, "total_is_estimated": True}) for total in ("x", -1, True))
        yield from (Said(200, {**whole, "total_is_estimated": value}) for value in ("x", 5, [1]))


def of_another_question(kind: str) -> Iterator[Said]:
    """Whole lists in which one entry is none that the filter for our number lets through."""
    beside = [CONTAINING] if kind in BEGINS else []
    for other in ("+14155550100", NUMBER[:-1], f"{NUMBER[:-1]}5", f"+4931{NUMBER[5:]}", *beside):
        yield from (Said(200, page(kind, *numbers)) for numbers in ([other], [OTHER, other], [other, OTHER]))


OTHERWISE = (
    *({"Content-Range": value} for value in ("items 100-199/500", "items 0-99/500", "100-199/*", "bytes 0-9/10", "x")),
    *({name: "5"} for name in ("X-Total-Count", "X-Total", "Total-Count", "X-WP-Total", "X-Pagination-Total-Count")),
    *({"X-Total-Count": value} for value in ("many", "-1", "5, 5")),
    *({"Link": f"<{_PATH}?page=9>; rel={name}"} for name in ("next", '"next"', '"last next"', "NEXT")),
    *({"X-Next-Page": "9"}, {"X-Has-More": "true"}, {"X-Next-Cursor": "a"}, {"X-Total-Pages": "9"}, {"X-Page": "9"}),
    *({"X-Partial-Result": "true"}, {"X-Truncated": "1"}, {"Content-Type": "application/problem+json"}),
)
"""Headers of an answer to another question, or of a part of one: no such page is the only one, nor the last."""


def naming(kind: str) -> Iterator[Said]:
    """Whole lists whose one entry of another number names ours in a key that nobody documented."""
    keys = ("msisdn", "formatted_number", "line", "Number", "name", "label", "capabilities", "metadata")
    spelt = (
        NUMBER,
        NUMBER[1:],
        int(NUMBER[1:]),
        NUMBER[3:],
        "(030) 901-820",
        f"sip:{NUMBER}@example.com",
        "0049 30-901-820",
        "30%20901%20820",
        "30\u200b901:820",
    )
    for entry in (
        record(kind, OTHER),
        *([record(kind, "alice") | {"type": "SIP_USERNAME"}] if kind == "vogent" else ()),
    ):
        for text in spelt:
            for value in (text, [text], {"a": [{"b": text}]}, {str(text): None}):
                for key in (key for key in keys if key != NUMBER_KEY.get(kind)):
                    yield Said(200, {**page(kind, OTHER), ENTRIES[kind]: [{**entry, key: value}]})
    if kind == "vogent":
        for name in (NUMBER[1:], NUMBER[3:], "(030) 901-820", f"0{NUMBER[3:]}", f"sip:{NUMBER[1:]}"):
            yield Said(200, {**page(kind), ENTRIES[kind]: [{**record(kind, name), "id": ID, "type": "SIP_USERNAME"}]})


def _without_a_list(whole: Any) -> Iterator[Said]:
    for body in (
        *({"message": "Not Found"}, {"message": "no Route matched with those values"}, {}, "User not found", None),
        *({"message": "Number not found", "error": "Not Found", "statusCode": 404}, b"", b"<html>404</html>"),
    ):
        yield Said(404, body)
        yield Said(200, body)
    for status in (202, 203, 204, 206, 301, 304, 400, 401, 402, 403, 408, 409, 410, 422, 429, 500, 502, 503, 504):
        yield Said(status, whole)
    key = next(key for key in whole if isinstance(whole[key], list))
    for other in (None, {}, "", 0, False, "[]", {"0": whole[key]}):
        yield Said(200, {**whole, key: other})
    without = {name: value for name, value in whole.items() if name != key}
    yield from (Said(200, body) for body in (without, {**without, "numbers": []}, {"response": whole}, [whole]))
    yield Said(200, reply(200, whole)[-40:])


def _unreadable(kind: str) -> Iterator[Any]:
    key = NUMBER_KEY.get(kind, "number")
    good = record(kind, OTHER)
    nameless = {name: value for name, value in good.items() if name != key}
    yield from (nameless, {**nameless, "e164": NUMBER}, {**nameless, "phoneNumber": NUMBER}, {**good, "e164": NUMBER})
    yield from (None, NUMBER, [], {}, int(NUMBER[1:]), {"id": ID})
    for value in (None, "", "null", NUMBER[3:], "(030) 901-820", "30-901-820", f"0{NUMBER[3:]}", f"00{NUMBER[1:]}"):
        yield {**good, key: value}
    for value in ("+493090****", "+1415555010", f"sip:{NUMBER[1:]}", int(NUMBER[3:]), True, [NUMBER], {"e164": NUMBER}):
        yield {**good, key: value}


def _called_user_names() -> Iterator[Any]:
    """Entries of the type that is documented as no number, which may well be one."""
    for entry in _unreadable("vogent"):
        if isinstance(entry, dict) and not _is_name(entry):
            yield {**entry, "type": "SIP_USERNAME"}


def _is_name(entry: dict[str, Any]) -> bool:
    """Whether it may be a user name: one that leaves the number with its digits open, and not the whole list."""
    name = entry.get("number")
    return isinstance(name, str) and name != "" and "+" not in name and "*" not in name and "e164" not in entry


def _strange_links() -> Iterator[Any]:
    for key in ("error", "errors", "Next", "NEXT", " next", "nextPage", "next_page", "last", ""):
        yield {"self": _PATH, key: f"{_PATH}?page_number=9"}
    yield from ({"error": ["down"]}, {"errors": []}, {"total": 99}, {"self": _PATH, "last": "/v2/phone_numbers?page=2"})
    yield from ({key: value} for key in ("self", "first", "prev") for value in (5, 0, False, [], {}, {"error": "x"}))


def _foreign_links() -> Iterator[Any]:
    """Of another question than any that is asked in a walk over two pages."""
    for address in (
        *(f"{_PATH}?filter_number=14155559999&page_size=100", f"{_PATH}?page_number=3&page_token=PA3", "http://["),
        *(f"{_PATH}?filter_name=a", f"{_PATH}?page_size=50", f"{_PATH}/search", "/api/relay/rest/sip_endpoints"),
        *(f"https://other.example.com{_PATH}", f"//other.signalwire.com{_PATH}", f"http://a.signalwire.com{_PATH}"),
    ):
        yield from ({"self": address}, {"self": _PATH, "first": address})
    yield {"self": _PATH, "prev": f"{_PATH}?page_number=7"}


def _strange_metas() -> Iterator[Any]:
    """What `meta` of Plivo's says of another page than any that is asked for."""
    yield from (
        {"next": value} for value in (5, 0, False, [], {}, "/other/?offset=20", "http://[", f"{_PLIVO}?offset=7")
    )
    yield from ({"next": None, key: value} for key in ("limit", "offset") for value in (7, "20", True, []))
    yield from ({"next": None, "previous": value} for value in (5, 0, {}, f"{_PLIVO}?offset=60", "/x/?offset=0"))
    yield from ({"next": None, "total_count": value} for value in (99, "1", -1, True, []))
    yield from ({"next": None, key: ["down"]} for key in ("error", "errors", "Next"))


def _other_pages() -> Iterator[Any]:
    """What a page of Twilio's says of itself, of another page or question than any that is asked for."""
    yield from ({"page": value} for value in (7, "0", True, [], -1))
    yield from ({"page_size": value} for value in (50, "1000", True, {}, 0))
    for name in ("uri", "first_page_uri", "previous_page_uri"):
        yield from ({name: value} for value in (5, 0, False, [], {}, f"{_TWILIO}?Page=7", f"{_TWILIO}?PageSize=50"))
        yield from ({name: f"{_TWILIO}?PhoneNumber=%2B14155559999"}, {name: "https://api.example.com/x?Page=0"})
        yield from ({name: _TWILIO.replace("0001", "0002")}, {name: "http://["})


def _strange_meta() -> Iterator[Any]:
    """What a page of Telnyx's says of itself, of no page that is asked for in a walk over two, or of a part."""
    yield from (None, [], "", 5, {}, {"total_pages": 1})
    good = {"page_number": 2, "page_size": 250, "total_pages": 2, "total_results": 2}
    yield from ({**good, key: value} for key in good for value in (None, "1", -1, True, [], 1.0))
    yield from ({**good, "page_number": 7, "total_pages": 7}, {**good, "page_size": 20}, {**good, "total_results": 99})
    yield from ({**good, key: value} for key, value in (("partial", True), ("errors", ["x"]), ("next", "/x")))
    yield {name: value for name, value in good.items() if name != "total_results"}


def _further_pages(kind: str, whole: dict[str, Any]) -> Iterator[Said]:
    words: dict[str, tuple[str, tuple[Any, ...]]] = {
        "fluents": ("has_more", (None, 1, 0, "false", [], {})),
        "signalwire": ("links", (None, [], "", 5, {"next": 5}, {"next": {}}, {"next": "/other?page_number=2"})),
        "vogent": ("cursor", (5, 0, False, [], {})),
        "bird": ("nextPageToken", (5, 0, False, [], {})),
        "vonage": ("count", (None, "2", 0, -1, True, [], {}, 99)),
        "plivo": ("meta", (None, [], "", 5, {}, {"limit": 20}, *_strange_metas())),
        "twilio": ("next_page_uri", (5, 0, False, [], {}, "/other.json?Page=2", _TWILIO, f"{_TWILIO}?FriendlyName=x")),
        "telnyx": ("meta", tuple(_strange_meta())),
    }
    key, values = words[kind]
    yield from (Said(200, {**whole, key: value}) for value in values)
    if kind == "signalwire":
        yield from (Said(200, {**body, key: links}) for links in _strange_links() for body in (whole, page(kind)))
        further = f"{_PATH}?page_number=9&page_token=PA9"
        yield from (Said(200, {**page(kind), key: {"self": _PATH, name: further}}) for name in ("next", "prev"))
        yield from (Said(200, {**body, key: links}) for links in _foreign_links() for body in (whole, page(kind)))
    if kind == "twilio":
        yield from (Said(200, {**body, **other}) for other in _other_pages() for body in (whole, page(kind)))
        yield from (Said(200, {**whole, name: value}) for name in ("start", "end") for value in (7, "0", -1, True, []))
        yield Said(200, {**page(kind), key: f"{_TWILIO}?PageSize=1000&Page=9&PageToken=PAPN9"})
    if kind in ALWAYS:
        yield Said(200, {name: value for name, value in whole.items() if name != key})
