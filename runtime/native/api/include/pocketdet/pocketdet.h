/* pocketdet's C API: a detector bundle in, boxes out.
 *
 * Functions that can fail return a pocketdet_status; pocketdet_error_message() then has one sentence: the file or
 * value, what was expected, what was found. No C++ exception leaves the library. A null pointer where an argument is
 * needed is POCKETDET_USAGE_ERROR; accessors of a null object return 0 or null.
 *
 * Different detectors can be used by different threads. Calls on one detector wait for each other. Each detector
 * computes on one thread.
 *
 * ABI: within one SOVERSION, functions, values of constants and the layout of pocketdet_detection and of existing
 * fields of pocketdet_options do not change. pocketdet_options may grow; its `size` says which fields the caller has.
 * Objects behind pointers are opaque. */
#ifndef POCKETDET_POCKETDET_H
#define POCKETDET_POCKETDET_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define POCKETDET_API __attribute__((visibility("default")))
#else
#define POCKETDET_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t pocketdet_status;
enum {
    POCKETDET_OK = 0,
    POCKETDET_USAGE_ERROR = 1,  /* an argument or option out of its range */
    POCKETDET_BUNDLE_ERROR = 2, /* a bundle with missing or damaged files, a wrong hash, or fields out of schema */
    POCKETDET_GRAPH_ERROR = 3,  /* a network that is malformed, inconsistent or not supported */
    POCKETDET_IMAGE_ERROR = 4,  /* an image that cannot be read, or is empty or too large */
    POCKETDET_ENGINE_ERROR = 5, /* ncnn refused a network or failed while it ran */
    POCKETDET_OUT_OF_MEMORY = 6,
    POCKETDET_INTERNAL_ERROR = 7 /* a fault of this library; please report it */
};

/* Order of the bytes of one pixel. Alpha is ignored. */
typedef int32_t pocketdet_pixel_format;
enum { POCKETDET_RGB = 0, POCKETDET_BGR = 1, POCKETDET_RGBA = 2, POCKETDET_BGRA = 3 };

/* The value of an option that says: as the bundle has it. */
#define POCKETDET_OF_BUNDLE (-1)

/* Non-maximum suppression. */
typedef int32_t pocketdet_nms;
enum {
    POCKETDET_NMS_HARD = 0,
    POCKETDET_NMS_LINEAR = 1,  /* soft-NMS with linear decay */
    POCKETDET_NMS_GAUSSIAN = 2 /* soft-NMS with gaussian decay */
};

/* What layers compute in. int8 layers of a bundle stay int8. */
typedef int32_t pocketdet_precision;
enum {
    POCKETDET_FP32 = 0,
    POCKETDET_FP16_STORAGE = 1, /* values stored in half precision, computed in fp32 */
    POCKETDET_FP16 = 2,
    POCKETDET_BF16_STORAGE = 3
};

/* Initialise with pocketdet_options_init, then change what differs from the bundle. */
typedef struct pocketdet_options {
    size_t size;                   /* bytes of this struct */
    double score_threshold;        /* least score of a detection, 0 to 1 */
    double nms_iou;                /* IoU above which boxes suppress each other, 0 to 1 */
    pocketdet_nms nms;             /* POCKETDET_NMS_... */
    pocketdet_precision precision; /* asked of ncnn; pocketdet_detector_precision says what is used */
    int32_t rois;                  /* proposals that the head of a two-stage detector sees, 1 to 10000 */
    int32_t max_detections;        /* of one image, 1 to 10000 */
    const char* digest;            /* refuse a bundle whose manifest.json has another SHA-256 (hex); null: any */
    const char* input_size;        /* one of the bundle's, a side in pixels or HEIGHTxWIDTH; null: its first */
} pocketdet_options;

/* One object. Corner coordinates are in pixels of the image that was given, at pixel edges: the box of a whole image is
 * (0, 0, width, height). */
typedef struct pocketdet_detection {
    float x1, y1, x2, y2;
    float score;   /* 0 to 1 */
    int32_t label; /* 0 to pocketdet_class_count - 1 */
} pocketdet_detection;

typedef struct pocketdet_detector pocketdet_detector;
typedef struct pocketdet_result pocketdet_result;
typedef struct pocketdet_image pocketdet_image;

/* The version of pocketdet, such as "0.1.0". */
POCKETDET_API const char* pocketdet_version(void);

/* The sentence of the last failed call of this thread, UTF-8; empty if none failed. Valid until the next call of this
 * thread that fails. */
POCKETDET_API const char* pocketdet_error_message(void);

/* Sets every option to POCKETDET_OF_BUNDLE, strings to null. size: sizeof(pocketdet_options) of the caller. */
POCKETDET_API pocketdet_status pocketdet_options_init(pocketdet_options* options, size_t size);

/* Opens a bundle, a folder NAME.pocketdet. The manifest, the hashes of all files and the networks are checked before
 * ncnn reads them.
 *
 * path: UTF-8. options: null for those of the bundle. detector: output; free it with pocketdet_detector_free. */
POCKETDET_API pocketdet_status pocketdet_detector_open(const char* path, const pocketdet_options* options,
                                                       pocketdet_detector** detector);
POCKETDET_API void pocketdet_detector_free(pocketdet_detector* detector);

/* What the bundle says of itself. Strings are UTF-8 and live as long as the detector. */
POCKETDET_API const char* pocketdet_detector_name(const pocketdet_detector* detector);
POCKETDET_API const char* pocketdet_detector_digest(const pocketdet_detector* detector);  /* SHA-256 of manifest.json */
POCKETDET_API int32_t pocketdet_detector_input_width(const pocketdet_detector* detector); /* of the network, pixels */
POCKETDET_API int32_t pocketdet_detector_input_height(const pocketdet_detector* detector); /* of the network, pixels */
POCKETDET_API size_t pocketdet_class_count(const pocketdet_detector* detector);
/* Null if there is no such label. */
POCKETDET_API const char* pocketdet_class_name(const pocketdet_detector* detector, int32_t label);

/* The precision in use on this processor: half precision needs ARMv8.2, bfloat16 storage a 64-bit ARM processor;
 * elsewhere POCKETDET_FP32. */
POCKETDET_API pocketdet_precision pocketdet_detector_precision(const pocketdet_detector* detector);

/* Stages that are timed, such as "preprocess". */
POCKETDET_API size_t pocketdet_stage_count(const pocketdet_detector* detector);
POCKETDET_API const char* pocketdet_stage_name(const pocketdet_detector* detector, size_t stage);

/* Finds objects in an image.
 *
 * pixels: rows of packed pixels, 8 bits a channel. width, height: 1 to 65535 pixels a side, at most 2^28 in all.
 * stride: bytes from one row to the next, at least width times the bytes of a pixel; 0 for rows without gaps.
 * result: output; free it with pocketdet_result_free. */
POCKETDET_API pocketdet_status pocketdet_detect(pocketdet_detector* detector, const uint8_t* pixels, int32_t width,
                                                int32_t height, size_t stride, pocketdet_pixel_format format,
                                                pocketdet_result** result);
POCKETDET_API void pocketdet_result_free(pocketdet_result* result);

/* The detections by score, best first. Valid until the result is freed. */
POCKETDET_API size_t pocketdet_result_count(const pocketdet_result* result);
POCKETDET_API const pocketdet_detection* pocketdet_result_detections(const pocketdet_result* result);

/* Proposals that the head of a two-stage detector saw; 0 for one-stage detectors. */
POCKETDET_API size_t pocketdet_result_rois(const pocketdet_result* result);
/* Wall time of each stage in milliseconds, pocketdet_stage_count values. Valid until the result is freed. */
POCKETDET_API const double* pocketdet_result_milliseconds(const pocketdet_result* result);

/* Decodes an image file to packed RGB: a JPEG (the EXIF orientation is applied), a PNG (alpha is dropped, 16 bits
 * become 8) or a binary PPM.
 *
 * path: UTF-8. image: output; free it with pocketdet_image_free. */
POCKETDET_API pocketdet_status pocketdet_image_read(const char* path, pocketdet_image** image);
POCKETDET_API void pocketdet_image_free(pocketdet_image* image);
POCKETDET_API int32_t pocketdet_image_width(const pocketdet_image* image);  /* pixels */
POCKETDET_API int32_t pocketdet_image_height(const pocketdet_image* image); /* pixels */
/* Rows without gaps, 3 bytes a pixel. Valid until the image is freed. */
POCKETDET_API const uint8_t* pocketdet_image_pixels(const pocketdet_image* image);

#ifdef __cplusplus
}
#endif

#endif
