#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "errors.h"
#include "sha256.h"

namespace pocketdet {

namespace {

constexpr size_t kChunk = size_t{1} << 20;

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int number() const { return number_; }

    // Bytes read, 0 at the end; throws std::runtime_error.
    size_t read(uint8_t* to, size_t size) const {
        while (true) {
            const ssize_t count = ::read(number_, to, size);
            if (count >= 0) return static_cast<size_t>(count);
            if (errno != EINTR) throw std::runtime_error(std::strerror(errno));
        }
    }

private:
    int number_;
};

bool is_link(const std::string& path) {
    struct stat info{};
    return lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

void refuse_links(const std::string& root, const std::string& name) {
    for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
        const std::string part = root + "/" + name.substr(0, slash);
        if (is_link(part)) throw BundleError(part + ": expected a folder of the bundle, found a symlink");
    }
    const std::string path = root + "/" + name;
    if (is_link(path)) throw BundleError(path + ": expected a regular file, found a symlink");
}

// Opens a regular file; O_NONBLOCK, since opening a FIFO must not wait for a writer.
int open_regular(const std::string& path) {
    const int number = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (number < 0 && errno == ENOENT) {
        throw BundleError(path + ": the file is missing; the bundle is incomplete, copy or export it again");
    }
    if (number < 0) throw BundleError(path + ": cannot be read: " + std::strerror(errno));
    struct stat info{};
    if (fstat(number, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(number);
        throw BundleError(path + ": expected a regular file, found something else");
    }
    return number;
}

// Reads to the end, handing out chunks, but at most one byte more than `limit`; returns the bytes seen.
template <typename Use>
uint64_t read_chunks(const Descriptor& file, uint64_t limit, Use use) {
    std::vector<uint8_t> chunk(kChunk);
    uint64_t total = 0;
    while (total <= limit) {
        const uint64_t wanted = std::min<uint64_t>(kChunk, limit + 1 - total);
        const size_t count = file.read(chunk.data(), static_cast<size_t>(wanted));
        if (count == 0) break;
        total += count;
        use(chunk.data(), count);
    }
    return total;
}

auto append_to(std::vector<uint8_t>& data) {
    return [&data](const uint8_t* part, size_t count) { data.insert(data.end(), part, part + count); };
}

std::string abbreviated(const std::string& hash) { return hash.substr(0, 12) + "..."; }

// Hashes a listed file, handing out its bytes, and throws if size or hash are not the entry's.
template <typename Use>
void check_file(const std::string& root, const std::string& name, const FileEntry& entry, Use use) {
    refuse_links(root, name);
    const std::string path = root + "/" + name;
    const Descriptor file(open_regular(path));
    Sha256 hash;
    uint64_t size = 0;
    try {
        size = read_chunks(file, entry.size, [&](const uint8_t* data, size_t count) {
            hash.update(data, count);
            use(data, count);
        });
    } catch (const std::runtime_error& error) {
        throw BundleError(path + ": cannot be read: " + error.what());
    }
    if (size != entry.size) {
        const std::string found = size > entry.size ? "more" : std::to_string(size);
        throw BundleError(path + ": expected " + std::to_string(entry.size) + " bytes, found " + found +
                          "; copy or export the bundle again");
    }
    const std::string found = hash.finish();
    if (found != entry.sha256) {
        throw BundleError(path + ": expected SHA-256 " + abbreviated(entry.sha256) + ", found " + abbreviated(found) +
                          "; the file is damaged or edited, copy or export the bundle again");
    }
}

}  // namespace

Folder::Folder(std::string path) : path_(std::move(path)) {
    while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
    struct stat info{};
    if (stat(path_.c_str(), &info) != 0) {
        throw BundleError(path_ + ": no such bundle: " + std::strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) {
        throw BundleError(path_ + ": expected a bundle as a folder; a zipped one must be unpacked first");
    }
}

std::vector<uint8_t> Folder::read(const std::string& name, uint64_t limit) const {
    refuse_links(path_, name);
    const std::string path = path_ + "/" + name;
    const Descriptor file(open_regular(path));
    std::vector<uint8_t> data;
    try {
        read_chunks(file, limit, append_to(data));
    } catch (const std::runtime_error& error) {
        throw BundleError(path + ": cannot be read: " + error.what());
    }
    if (data.size() > limit) {
        throw BundleError(path + ": expected at most " + std::to_string(limit) + " bytes, found more");
    }
    return data;
}

std::vector<uint8_t> Folder::read_listed(const std::string& name, const FileEntry& entry) const {
    std::vector<uint8_t> data;
    check_file(path_, name, entry, append_to(data));
    return data;
}

void Folder::check_listed(const std::string& name, const FileEntry& entry) const {
    check_file(path_, name, entry, [](const uint8_t*, size_t) {});
}

bool is_safe_path(const std::string& path) {
    int parts = 0;
    size_t start = 0;
    while (true) {
        const size_t end = std::min(path.find('/', start), path.size());
        if (end == start || end - start > 100 || ++parts > 4) return false;
        for (size_t i = start; i < end; ++i) {
            const char c = path[i];
            const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
            if (!plain && (i == start || (c != '.' && c != '-'))) return false;
        }
        if (end == path.size()) return true;
        start = end + 1;
    }
}

std::vector<uint8_t> read_file(const std::string& path, uint64_t limit) {
    const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    struct stat info{};
    if (file.number() < 0 || fstat(file.number(), &info) != 0) throw std::runtime_error(std::strerror(errno));
    if (S_ISDIR(info.st_mode)) throw std::runtime_error(std::strerror(EISDIR));
    if (!S_ISREG(info.st_mode)) throw std::runtime_error("not a regular file");
    std::vector<uint8_t> data;
    read_chunks(file, limit, append_to(data));
    if (data.size() > limit) throw std::runtime_error("it has more than " + std::to_string(limit) + " bytes");
    return data;
}

}  // namespace pocketdet
