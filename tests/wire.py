"""Remote write requests from nothing but the standard library, good and bad ones."""

import struct


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def snappy(data: bytes) -> bytes:
    """Snappy's block form with literals only: valid, and not smaller."""
    out = bytearray(varint(len(data)))
    for start in range(0, len(data), 65536):
        chunk = data[start:start + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(chunk) - 1) + chunk
    return bytes(out)


def sample(value: float, timestamp_ms: int) -> bytes:
    return varint(1 << 3 | 1) + struct.pack("<d", value) + varint(2 << 3) + varint(timestamp_ms)


def time_series(labels: dict[str, str], samples: list[tuple[int, float]]) -> bytes:
    body = b"".join(field(1, field(1, name.encode()) + field(2, value.encode()))
                    for name, value in sorted(labels.items()))
    return body + b"".join(field(2, sample(value, timestamp_ms)) for timestamp_ms, value in samples)


def zigzag(value: int) -> bytes:
    return varint((value << 1) ^ (value >> 63))


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def histogram(timestamp_ms: int, sum_: float, counts: list[int], zero_count: int = 0, first_bucket: int = 0) -> bytes:
    """A native histogram with integer counts: schema 3, `counts` of neighbouring positive buckets."""
    deltas = [count - before for before, count in zip([0, *counts], counts)]
    span = varint(1 << 3) + zigzag(first_bucket) + varint(2 << 3) + varint(len(counts))
    return (varint(1 << 3) + varint(zero_count + sum(counts)) + double(3, sum_) + varint(4 << 3) + zigzag(3)
            + double(5, 2.0 ** -128) + varint(6 << 3) + varint(zero_count)
            + field(11, span) + field(12, b"".join(map(zigzag, deltas))) + varint(15 << 3) + varint(timestamp_ms))


def histogram_series(labels: dict[str, str], histograms: list[bytes]) -> bytes:
    return time_series(labels, []) + b"".join(field(4, one) for one in histograms)


def write_request_of(series: list[bytes]) -> bytes:
    """Of series that are encoded already."""
    return snappy(b"".join(field(1, one) for one in series))


def write_request(series: list[tuple[dict[str, str], list[tuple[int, float]]]]) -> bytes:
    """`series` is [({"__name__": ..., ...}, [(timestamp_ms, value), ...]), ...]."""
    return snappy(b"".join(field(1, time_series(labels, samples)) for labels, samples in series))


HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "petrel-tests",
}


def write_request_v2(series: list[tuple[dict[str, str], list[tuple[int, float]]]], created_ms: int = 0) -> bytes:
    """The same as remote write 2.0; `created_ms` is told of every series."""
    symbols = [""]

    def reference(text: str) -> bytes:
        if text not in symbols:
            symbols.append(text)
        return varint(symbols.index(text))

    body = b""
    for labels, samples in series:
        references = b"".join(reference(name) + reference(value) for name, value in sorted(labels.items()))
        one = field(1, references) + b"".join(field(2, sample(value, timestamp_ms)) for timestamp_ms, value in samples)
        body += field(5, one + (varint(6 << 3) + varint(created_ms) if created_ms else b""))
    return snappy(b"".join(field(4, symbol.encode()) for symbol in symbols) + body)


HEADERS_V2 = HEADERS | {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}
