package io.pocketdet.app;

import android.graphics.ImageFormat;
import android.graphics.Rect;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.util.Size;
import io.pocketdet.app.logic.StreamSizes;
import java.util.ArrayList;
import java.util.List;

/** One of the device's cameras, with the sizes and modes that this app uses. */
final class CameraInfo {
    final String id;
    final boolean facesUser;

    /** Of the sensor against the device's natural orientation, degrees. */
    final int sensor;

    /** Null if it has none to detect on. */
    final StreamSizes sizes;

    final boolean focusesByItself;
    final boolean focusesOnRequest;
    final boolean measuresRegions;
    final boolean hasTorch;
    final float maxZoom;

    /** The sensor's active pixels, the coordinates of crop and regions; null if the camera does not report them. */
    final Rect active;

    private CameraInfo(String id, CameraCharacteristics about) {
        this.id = id;
        facesUser = value(about, CameraCharacteristics.LENS_FACING, -1) == CameraCharacteristics.LENS_FACING_FRONT;
        sensor = value(about, CameraCharacteristics.SENSOR_ORIENTATION, 0);
        StreamConfigurationMap map = about.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
        sizes = map == null ? null
                            : StreamSizes.of(sizes(map.getOutputSizes(ImageFormat.YUV_420_888)),
                                      sizes(map.getOutputSizes(SurfaceTexture.class)));
        int[] modes = value(about, CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES, new int[0]);
        focusesByItself = has(modes, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_VIDEO);
        active = about.get(CameraCharacteristics.SENSOR_INFO_ACTIVE_ARRAY_SIZE);
        focusesOnRequest = active != null && has(modes, CaptureRequest.CONTROL_AF_MODE_AUTO)
                && value(about, CameraCharacteristics.CONTROL_MAX_REGIONS_AF, 0) > 0;
        measuresRegions = value(about, CameraCharacteristics.CONTROL_MAX_REGIONS_AE, 0) > 0;
        hasTorch = value(about, CameraCharacteristics.FLASH_INFO_AVAILABLE, false);
        maxZoom = active == null ? 1 : value(about, CameraCharacteristics.SCALER_AVAILABLE_MAX_DIGITAL_ZOOM, 1f);
    }

    /** The first camera that looks this way, else the first of all; null if the device has none. */
    static CameraInfo find(CameraManager manager, boolean facingUser) throws CameraAccessException {
        CameraInfo first = null;
        for (String id : manager.getCameraIdList()) {
            CameraInfo camera = new CameraInfo(id, manager.getCameraCharacteristics(id));
            if (camera.facesUser == facingUser) {
                return camera;
            }
            first = first == null ? camera : first;
        }
        return first;
    }

    private static <T> T value(CameraCharacteristics about, CameraCharacteristics.Key<T> key, T otherwise) {
        T found = about.get(key);
        return found == null ? otherwise : found;
    }

    private static List<int[]> sizes(Size[] sizes) {
        List<int[]> found = new ArrayList<>();
        for (Size size : sizes == null ? new Size[0] : sizes) {
            found.add(new int[] {size.getWidth(), size.getHeight()});
        }
        return found;
    }

    private static boolean has(int[] modes, int wanted) {
        for (int mode : modes) {
            if (mode == wanted) {
                return true;
            }
        }
        return false;
    }
}
