// From an image to the network's input.
#pragma once

#include <vector>

#include <ncnn/mat.h>

#include "image.h"
#include "manifest.h"
#include "resize.h"

namespace pocketdet {

// Throws ImageError unless the core can take it.
void check_image(const ImageView& image);

class Preprocessor {
public:
    explicit Preprocessor(const Manifest& manifest);

    // (h, w, 3) in the network's channel order. Throws ImageError.
    std::vector<uint8_t> resize(const ImageView& image);
    // The normalised input (3, h, w), overwritten by the next call. Throws ImageError.
    ncnn::Mat run(const ImageView& image);

private:
    ResizeOptions options() const;

    Size input_;
    Preprocessing rule_;
    NormaliseTable normalise_;
    // Made once: glibc before 2.38 does not find freed aligned memory again, and would grow with every frame.
    ncnn::Mat tensor_;
    ResizeWorkspace workspace_;
};

}  // namespace pocketdet
