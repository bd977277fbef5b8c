#include "bundle.h"

#include "errors.h"
#include "sha256.h"

namespace pocketdet {

Bundle load_bundle(const std::string& path, const std::string& digest) {
    Folder folder(path);
    const std::string label = folder.path() + "/" + kManifestName;
    const std::vector<uint8_t> data = folder.read(kManifestName, kMaxManifestBytes);
    const std::string found = sha256_of(data.data(), data.size());
    if (!digest.empty() && digest != found) {
        throw BundleError(label + ": expected the bundle " + digest.substr(0, 64) + ", found " + found);
    }
    Manifest manifest = parse_manifest(data, label);
    Bundle bundle{folder, std::move(manifest), found, {}, {}, {}, {}};
    const Manifest& m = bundle.manifest;
    const std::pair<const std::string*, std::vector<uint8_t>*> kept[] = {{&m.features.param, &bundle.features_param},
                                                                         {&m.features.bin, &bundle.features_bin},
                                                                         {&m.head.param, &bundle.head_param},
                                                                         {&m.head.bin, &bundle.head_bin}};
    for (const auto& [name, bytes] : kept) *bytes = folder.read_listed(*name, m.files.at(*name));
    for (const auto& [name, entry] : m.files) {
        bool is_kept = false;
        for (const auto& item : kept) is_kept = is_kept || *item.first == name;
        if (!is_kept) folder.check_listed(name, entry);
    }
    return bundle;
}

}  // namespace pocketdet
