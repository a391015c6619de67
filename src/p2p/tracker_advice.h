// What a tracker advises a node that asks for a blob: the rules of shoal/p2p/tracker.h, applied to one record. Pure but
// for the record, in which the asker's new role and lease are entered.
#pragma once

#include "tracker_record.h"

namespace shoal::p2p {

// `avoid`: ids that did not serve the asker.
[[nodiscard]] Advice advise(BlobRecord& record, NodeRef asker, const std::vector<std::string>& avoid,
                            const MemberTable::View& members, const TrackerOptions& options, RecordCounts& counts);

}  // namespace shoal::p2p
