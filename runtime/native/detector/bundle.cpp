#include "bundle.h"

#include "errors.h"
#include "sha256.h"

namespace pocketdet {

Bundle load_bundle(const std::string& path, const std::string& digest, std::optional<Size> size) {
    Folder folder(path);
    const std::string label = folder.path() + "/" + kManifestName;
    const std::vector<uint8_t> data = folder.read(kManifestName, kMaxManifestBytes);
    const std::string found = sha256_of(data.data(), data.size());
    if (!digest.empty() && digest != found) {
        throw BundleError(label + ": expected the bundle " + digest.substr(0, 64) + ", found " + found);
    }
    Bundle bundle{folder, parse_manifest(data, label, size), found, {}};
    const Manifest& m = bundle.manifest;
    for (const GraphSpec* graph : m.graphs()) {
        for (const std::string* name : {&graph->param, &graph->bin}) {
            bundle.graph_files[*name] = folder.read_listed(*name, m.files.at(*name));
        }
    }
    for (const auto& [name, entry] : m.files) {
        if (!bundle.graph_files.count(name)) folder.check_listed(name, entry);
    }
    return bundle;
}

}  // namespace pocketdet
