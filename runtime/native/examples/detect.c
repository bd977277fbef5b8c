/* Prints the objects in an image, one a line: detect_c BUNDLE IMAGE */
#include <pocketdet/pocketdet.h>
#include <stdio.h>

static void print(const pocketdet_detector* detector, const pocketdet_result* result) {
    const pocketdet_detection* found = pocketdet_result_detections(result);
    for (size_t i = 0; i < pocketdet_result_count(result); ++i) {
        const pocketdet_detection* d = &found[i];
        const char* name = pocketdet_class_name(detector, d->label);
        printf("%s %.3f %.2f %.2f %.2f %.2f\n", name, d->score, d->x1, d->y1, d->x2, d->y2);
    }
}

int main(int argc, char** argv) {
    pocketdet_detector* detector = NULL;
    pocketdet_image* image = NULL;
    pocketdet_result* result = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: detect_c BUNDLE IMAGE\n");
        return 2;
    }
    pocketdet_status status = pocketdet_detector_open(argv[1], NULL, &detector);
    if (status == POCKETDET_OK) status = pocketdet_image_read(argv[2], &image);
    if (status == POCKETDET_OK) {
        status = pocketdet_detect(detector, pocketdet_image_pixels(image), pocketdet_image_width(image),
                                  pocketdet_image_height(image), 0, POCKETDET_RGB, &result);
    }
    if (status == POCKETDET_OK) {
        print(detector, result);
    } else {
        fprintf(stderr, "%s\n", pocketdet_error_message());
    }
    pocketdet_result_free(result);
    pocketdet_image_free(image);
    pocketdet_detector_free(detector);
    return status == POCKETDET_OK ? 0 : 2;
}
