// A bundle that was read whole, checked and hashed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "files.h"
#include "manifest.h"

namespace pocketdet {

struct Bundle {
    Folder folder;
    Manifest manifest;
    std::string digest;  // SHA-256 of manifest.json; it lists the hashes of all other files, so it names the bundle
    std::map<std::string, std::vector<uint8_t>> graph_files;  // param and bin of every graph, by their names
};

// Opens a bundle folder at one of its input sizes or the default one: manifest.json against the schema, then every
// listed file's size and SHA-256. Where `digest` is not empty the bundle must have it. Throws BundleError, and
// UsageError for a size that the bundle does not have.
Bundle load_bundle(const std::string& path, const std::string& digest = "", std::optional<Size> size = {});

}  // namespace pocketdet
