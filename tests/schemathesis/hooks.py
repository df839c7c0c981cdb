"""What is asked of an HTTP server rather than of the API is left to other tests."""

from urllib.parse import urlencode

import schemathesis

# Beyond 64 KiB a head is not read: the connection ends with a bare status (docs/limits.md).
LONGEST = 60_000


@schemathesis.hook
def filter_query(context, query):
    return query is None or len(urlencode(query, doseq=True)) < LONGEST
