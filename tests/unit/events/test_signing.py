"""Calls are signed as Standard Webhooks has it."""

import base64
import hashlib
import hmac

import pytest

from events.signing import shown, signed
from tests.support.webhooks import is_genuine

SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = b'{"test": 2432232314}'
AT = 1614265330


def test_the_example_of_the_specification_has_its_signature() -> None:
    headers = signed([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", AT, BODY)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_stranger_with_nothing_but_the_standard_library_can_check_it() -> None:
    headers = signed([SECRET], "id", AT, BODY)
    message = b"%s.%s.%s" % (headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), BODY)
    expected = base64.b64encode(hmac.new(SECRET, message, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize(
    ("change", "body", "now"),
    [
        ({}, BODY + b" ", AT),
        ({"webhook-id": "other"}, BODY, AT),
        ({"webhook-timestamp": str(AT + 1)}, BODY, AT),
        ({"webhook-signature": "v1,"}, BODY, AT),
        ({"webhook-signature": ""}, BODY, AT),
        ({}, BODY, AT + 301),
        ({}, BODY, AT - 301),
    ],
)
def test_what_was_changed_or_is_old_is_not_genuine(change: dict[str, str], body: bytes, now: float) -> None:
    headers = signed([SECRET], "id", AT, BODY)
    assert is_genuine(shown(SECRET), headers, BODY, now=AT)
    assert not is_genuine(shown(SECRET), {**headers, **change}, body, now=now)


def test_either_of_two_secrets_will_do_while_a_key_is_changed() -> None:
    headers = signed([b"n" * 32, SECRET], "id", AT, BODY)
    assert is_genuine(shown(SECRET), headers, BODY, now=AT + 299)
    assert is_genuine(shown(b"n" * 32), headers, BODY, now=AT)
    assert not is_genuine(shown(b"x" * 32), headers, BODY, now=AT)
