// The files of a bundle that is a folder, from anyone: read once, hashed, and used from memory, so that a file that
// changes after the check changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pocketdet {

struct FileEntry {
    uint64_t size = 0;
    std::string sha256;
};

class Folder {
public:
    // Throws BundleError if `path` is not a folder.
    explicit Folder(std::string path);

    const std::string& path() const { return path_; }

    // All bytes of a file. Throws BundleError if it is missing, a link or special, or larger than `limit`.
    std::vector<uint8_t> read(const std::string& name, uint64_t limit) const;

    // All bytes of a file with the size and hash of `entry`; throws BundleError if it has others.
    std::vector<uint8_t> read_listed(const std::string& name, const FileEntry& entry) const;

    // The same check without keeping the bytes.
    void check_listed(const std::string& name, const FileEntry& entry) const;

private:
    std::string path_;
};

// Whether `path` is a plain relative path that stays inside the bundle on every operating system.
bool is_safe_path(const std::string& path);

// All bytes of a regular file, at most `limit`. A FIFO or a device is refused, since it could block for ever. Throws
// std::runtime_error with the reason alone.
std::vector<uint8_t> read_file(const std::string& path, uint64_t limit);

}  // namespace pocketdet
