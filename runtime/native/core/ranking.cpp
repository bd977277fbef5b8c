#include "ranking.h"

#include <algorithm>

namespace pocketdet {

void keep_best(std::vector<uint64_t>& keys, size_t count) {
    if (count < keys.size()) {
        std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count), keys.end());
        keys.resize(count);
    }
    std::sort(keys.begin(), keys.end());
}

}  // namespace pocketdet
