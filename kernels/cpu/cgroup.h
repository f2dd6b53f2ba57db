// cgroup.h: how much memory the control groups around this process leave it.
#pragma once

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace tk {

// The smallest limit of a group and all groups above it, in bytes; infinite without any. A group that has
// none of its own is bounded by its parents'. Where a container shows only its own part of the tree, the
// groups above are not there and the root holds the container's limit.
inline double least_limit(const std::string& mount, std::string group, std::initializer_list<const char*> names) {
  double least = std::numeric_limits<double>::infinity();
  for (;;) {
    for (const char* name : names) {
      std::ifstream file(mount + group + "/" + name);
      double limit;  // the word "max" where there is none
      if (file >> limit) least = std::min(least, limit);
    }
    if (group.empty()) return least;
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

// The limit of this process, from /proc/self/cgroup and /sys/fs/cgroup below `root`. Above memory.high a
// group is slowed down until it hardly moves: that is no memory to plan with.
inline double cgroup_memory_bytes(const std::string& root) {
  const std::string mount = root + "/sys/fs/cgroup";
  double least = std::min(least_limit(mount, "", {"memory.max", "memory.high"}),
                          least_limit(mount + "/memory", "", {"memory.limit_in_bytes"}));
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // hierarchy:controllers:path, with no controllers in version 2.
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    std::istringstream controllers(line.substr(first + 1, second - first - 1));
    if (second == first + 1) least = std::min(least, least_limit(mount, path, {"memory.max", "memory.high"}));
    for (std::string name; std::getline(controllers, name, ',');)
      if (name == "memory") least = std::min(least, least_limit(mount + "/memory", path, {"memory.limit_in_bytes"}));
  }
  return least;
}

}  // namespace tk
