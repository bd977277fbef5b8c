// What the tests of the detector share: errors that must be thrown, and files for a moment.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "check.h"

namespace pocketdet {

using Bytes = std::vector<uint8_t>;

inline Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

// The message of the Expected that `action` throws; another exception, or none, ends the program.
template <typename Expected>
std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Expected& error) {
        const std::string message = error.what();
        CHECK(!message.empty() && message.size() < 1000 && message.find('\n') == std::string::npos);
        return message;
    }
    CHECK(!"an error was thrown");
    return "";
}

inline bool contains(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return true;
    std::fprintf(stderr, "'%s' is not in: %s\n", part.c_str(), text.c_str());
    return false;
}

class TemporaryFolder {
public:
    TemporaryFolder() { CHECK(mkdtemp(path_) != nullptr); }
    ~TemporaryFolder() {
        for (const std::string& name : names_) unlink((path() + "/" + name).c_str());
        rmdir(path_);
    }
    std::string path() const { return path_; }
    void write(const std::string& name, const std::string& content) {
        std::FILE* file = std::fopen((path() + "/" + name).c_str(), "wb");
        CHECK(file != nullptr && std::fwrite(content.data(), 1, content.size(), file) == content.size());
        std::fclose(file);
        names_.push_back(name);
    }
    void link(const std::string& name, const std::string& target) {
        CHECK(symlink(target.c_str(), (path() + "/" + name).c_str()) == 0);
        names_.push_back(name);
    }

private:
    char path_[64] = "/tmp/pocketdet-test-XXXXXX";
    std::vector<std::string> names_;
};

}  // namespace pocketdet
