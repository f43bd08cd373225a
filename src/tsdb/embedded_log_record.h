// The payload of one record of the embedded log: a batch, compactly.
//
// Made for scrapes, where thousands of series have one sample each at the same time: a
// series that follows its predecessor in the table, with a sample at its predecessor's
// time, costs one byte plus its value. Values take as many bytes as they need: integers
// and thousandths as integers, others without the zero bytes at the end of their
// mantissa. Layout: docs/formats/log.md.

#pragma once

#include "core/result.h"
#include "storage/log.h"

#include <string>
#include <string_view>

namespace tsdb {

// Appends the payload to `out`.
void append_batch_payload(std::string& out, const storage::LogBatch& batch);

// Replaces `batch`; its tenant and labels borrow from `payload`. Corruption names the
// byte of the payload.
core::Result<void> decode_batch_payload(std::string_view payload, storage::LogBatch& batch);

}  // namespace tsdb
