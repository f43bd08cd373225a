// /sys/fs/xfs/<device>/stats/stats: lines of counters, "extent_alloc 92447 97589 92448 93751"
// (fs/xfs/xfs_stats.h).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <vector>

namespace agent {

using model::MetricType;

namespace {

struct Column {
  std::string_view line;
  size_t index;
  MetricInfo metric;
};
constexpr Column kColumns[] = {
    {"abt",
     0,
     {"node_xfs_allocation_btree_lookups_total", MetricType::Counter,
      "Number of allocation B-tree lookups for a filesystem."}},
    {"abt",
     1,
     {"node_xfs_allocation_btree_compares_total", MetricType::Counter,
      "Number of allocation B-tree compares for a filesystem."}},
    {"abt",
     2,
     {"node_xfs_allocation_btree_records_inserted_total", MetricType::Counter,
      "Number of allocation B-tree records inserted for a filesystem."}},
    {"abt",
     3,
     {"node_xfs_allocation_btree_records_deleted_total", MetricType::Counter,
      "Number of allocation B-tree records deleted for a filesystem."}},
    {"blk_map",
     0,
     {"node_xfs_block_mapping_reads_total", MetricType::Counter,
      "Number of block map for read operations for a filesystem."}},
    {"blk_map",
     1,
     {"node_xfs_block_mapping_writes_total", MetricType::Counter,
      "Number of block map for write operations for a filesystem."}},
    {"blk_map",
     2,
     {"node_xfs_block_mapping_unmaps_total", MetricType::Counter,
      "Number of block unmaps (deletes) for a filesystem."}},
    {"blk_map",
     3,
     {"node_xfs_block_mapping_extent_list_insertions_total", MetricType::Counter,
      "Number of extent list insertions for a filesystem."}},
    {"blk_map",
     4,
     {"node_xfs_block_mapping_extent_list_deletions_total", MetricType::Counter,
      "Number of extent list deletions for a filesystem."}},
    {"blk_map",
     5,
     {"node_xfs_block_mapping_extent_list_lookups_total", MetricType::Counter,
      "Number of extent list lookups for a filesystem."}},
    {"blk_map",
     6,
     {"node_xfs_block_mapping_extent_list_compares_total", MetricType::Counter,
      "Number of extent list compares for a filesystem."}},
    {"bmbt",
     0,
     {"node_xfs_block_map_btree_lookups_total", MetricType::Counter,
      "Number of block map B-tree lookups for a filesystem."}},
    {"bmbt",
     1,
     {"node_xfs_block_map_btree_compares_total", MetricType::Counter,
      "Number of block map B-tree compares for a filesystem."}},
    {"bmbt",
     2,
     {"node_xfs_block_map_btree_records_inserted_total", MetricType::Counter,
      "Number of block map B-tree records inserted for a filesystem."}},
    {"bmbt",
     3,
     {"node_xfs_block_map_btree_records_deleted_total", MetricType::Counter,
      "Number of block map B-tree records deleted for a filesystem."}},
    {"dir",
     0,
     {"node_xfs_directory_operation_lookup_total", MetricType::Counter,
      "Number of file name directory lookups which miss the operating systems directory name "
      "lookup cache."}},
    {"dir",
     1,
     {"node_xfs_directory_operation_create_total", MetricType::Counter,
      "Number of times a new directory entry was created for a filesystem."}},
    {"dir",
     2,
     {"node_xfs_directory_operation_remove_total", MetricType::Counter,
      "Number of times an existing directory entry was created for a filesystem."}},
    {"dir",
     3,
     {"node_xfs_directory_operation_getdents_total", MetricType::Counter,
      "Number of times the directory getdents operation was performed for a filesystem."}},
    {"extent_alloc",
     0,
     {"node_xfs_extent_allocation_extents_allocated_total", MetricType::Counter,
      "Number of extents allocated for a filesystem."}},
    {"extent_alloc",
     1,
     {"node_xfs_extent_allocation_blocks_allocated_total", MetricType::Counter,
      "Number of blocks allocated for a filesystem."}},
    {"extent_alloc",
     2,
     {"node_xfs_extent_allocation_extents_freed_total", MetricType::Counter,
      "Number of extents freed for a filesystem."}},
    {"extent_alloc",
     3,
     {"node_xfs_extent_allocation_blocks_freed_total", MetricType::Counter,
      "Number of blocks freed for a filesystem."}},
    {"ig",
     0,
     {"node_xfs_inode_operation_attempts_total", MetricType::Counter,
      "Number of times the OS looked for an XFS inode in the inode cache."}},
    {"ig",
     1,
     {"node_xfs_inode_operation_found_total", MetricType::Counter,
      "Number of times the OS looked for and found an XFS inode in the inode cache."}},
    {"ig",
     2,
     {"node_xfs_inode_operation_recycled_total", MetricType::Counter,
      "Number of times the OS found an XFS inode in the cache, but could not use it as it was "
      "being recycled."}},
    {"ig",
     3,
     {"node_xfs_inode_operation_missed_total", MetricType::Counter,
      "Number of times the OS looked for an XFS inode in the cache, but did not find it."}},
    {"ig",
     4,
     {"node_xfs_inode_operation_duplicates_total", MetricType::Counter,
      "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it "
      "had already been added by another process."}},
    {"ig",
     5,
     {"node_xfs_inode_operation_reclaims_total", MetricType::Counter,
      "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for "
      "another purpose."}},
    {"ig",
     6,
     {"node_xfs_inode_operation_attribute_changes_total", MetricType::Counter,
      "Number of times the OS explicitly changed the attributes of an XFS inode."}},
    {"rw",
     0,
     {"node_xfs_write_calls_total", MetricType::Counter,
      "Number of write(2) system calls made to files in a filesystem."}},
    {"rw",
     1,
     {"node_xfs_read_calls_total", MetricType::Counter,
      "Number of read(2) system calls made to files in a filesystem."}},
    {"vnodes",
     0,
     {"node_xfs_vnode_active_total", MetricType::Counter,
      "Number of vnodes not on free lists for a filesystem."}},
    {"vnodes",
     1,
     {"node_xfs_vnode_allocate_total", MetricType::Counter,
      "Number of times vn_alloc called for a filesystem."}},
    {"vnodes",
     2,
     {"node_xfs_vnode_get_total", MetricType::Counter,
      "Number of times vn_get called for a filesystem."}},
    {"vnodes",
     3,
     {"node_xfs_vnode_hold_total", MetricType::Counter,
      "Number of times vn_hold called for a filesystem."}},
    {"vnodes",
     4,
     {"node_xfs_vnode_release_total", MetricType::Counter,
      "Number of times vn_rele called for a filesystem."}},
    {"vnodes",
     5,
     {"node_xfs_vnode_reclaim_total", MetricType::Counter,
      "Number of times vn_reclaim called for a filesystem."}},
    {"vnodes",
     6,
     {"node_xfs_vnode_remove_total", MetricType::Counter,
      "Number of times vn_remove called for a filesystem."}},
};

}  // namespace

std::unique_ptr<Collector> make_xfs_collector(const Settings& settings) {
  return make_simple_collector(
      "xfs", [folder = settings.roots().sys + "/fs/xfs"](Output& out) -> core::Result<void> {
        std::string text;
        for (const std::string& device : list_folder(folder)) {
          if (!read_text(folder + "/" + device + "/stats/stats", text)) continue;  // "stats" itself
          std::string_view rest = text;
          while (!rest.empty()) {
            std::string_view line = take_line(rest);
            const std::string_view key = take_word(line);
            std::vector<std::string_view> values;
            for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
              values.push_back(word);
            }
            for (const Column& column : kColumns) {
              if (column.line != key || column.index >= values.size()) continue;
              const auto value = to_number(values[column.index]);
              if (value) out.add(column.metric, {{"device", device}}, *value);
            }
          }
        }
        return {};
      });
}

}  // namespace agent
