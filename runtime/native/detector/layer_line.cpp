#include "layer_line.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace pocketdet {

namespace {
constexpr int kArray = -23300;  // minus the number of a parameter that is an array
}  // namespace

LayerLine::LayerLine(const std::string& text) {
    std::istringstream line(text);
    std::string word;
    int input_count = 0, output_count = 0;
    line >> type >> name >> input_count >> output_count;
    for (int i = 0; i < input_count + output_count && line >> word; ++i) {
        (i < input_count ? inputs : outputs).push_back(word);
    }
    while (line >> word) {
        words.push_back(word);
        const size_t equals = word.find('=');
        if (equals == std::string::npos) continue;
        char* end = nullptr;
        const long value = std::strtol(word.c_str() + equals + 1, &end, 10);
        params[std::atoi(word.c_str())] = *end == '\0' ? static_cast<int>(value) : kOther;
    }
}

int LayerLine::get(int id, int otherwise) const {
    const auto found = params.find(id);
    return found == params.end() ? otherwise : found->second;
}

std::vector<float> LayerLine::numbers(int id) const {
    const std::string key = std::to_string(id) + "=";
    std::vector<float> found;
    for (const std::string& word : words) {
        if (word.rfind(key, 0) != 0) continue;
        std::istringstream elements(word.substr(key.size()));
        for (std::string element; std::getline(elements, element, ',');) {
            found.push_back(std::strtof(element.c_str(), nullptr));
        }
    }
    if (id <= kArray && !found.empty()) found.erase(found.begin());  // their number
    return found;
}

bool LayerLine::has(const std::string& text) const { return std::count(words.begin(), words.end(), text) == 1; }

bool LayerLine::has_only(std::initializer_list<int> ids) const {
    return std::all_of(params.begin(), params.end(),
                       [&](const auto& param) { return std::find(ids.begin(), ids.end(), param.first) != ids.end(); });
}

}  // namespace pocketdet
