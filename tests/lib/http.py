"""The daemons' HTTP interface, as an operator uses it."""

import http.client
import json
from urllib.parse import urlencode


class Unexpected(AssertionError):
    """An HTTP status that the test did not expect."""


def request(address, method, path, body=None, within_s=10.0, **query):
    """One request on a connection of its own. Returns (status, body)."""
    connection = http.client.HTTPConnection(*address, timeout=within_s)
    try:
        connection.request(method, path + ("?" + urlencode(query) if query else ""), body=body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def post(address, path, body=b"", **query):
    status, answer = request(address, "POST", path, body=body, **query)
    if status != 200:
        raise Unexpected(f"POST {path} {query}: {status} {answer[:200]!r}")
    return answer


def get_json(address, path, **query):
    status, answer = request(address, "GET", path, **query)
    if status != 200:
        raise Unexpected(f"GET {path} {query}: {status} {answer[:200]!r}")
    return json.loads(answer)


def answers_ping(address, within_s=1.0):
    try:
        return request(address, "GET", "/ping", within_s=within_s) == (200, b"OK")
    except (OSError, http.client.HTTPException):
        return False
