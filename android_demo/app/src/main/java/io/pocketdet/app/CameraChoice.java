package io.pocketdet.app;

import android.graphics.ImageFormat;
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

/** One of the device's cameras, with the sizes and modes that are used of it. */
final class CameraChoice {
    final String id;
    final boolean facesUser;

    /** Of the sensor against the device's natural orientation, degrees. */
    final int sensor;

    /** Null if it has none to detect on. */
    final StreamSizes sizes;

    final boolean focuses;

    private CameraChoice(String id, CameraCharacteristics about) {
        this.id = id;
        Integer facing = about.get(CameraCharacteristics.LENS_FACING);
        facesUser = facing != null && facing == CameraCharacteristics.LENS_FACING_FRONT;
        Integer orientation = about.get(CameraCharacteristics.SENSOR_ORIENTATION);
        sensor = orientation == null ? 0 : orientation;
        StreamConfigurationMap map = about.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
        sizes = map == null ? null
                            : StreamSizes.of(sizes(map.getOutputSizes(ImageFormat.YUV_420_888)),
                                      sizes(map.getOutputSizes(SurfaceTexture.class)));
        focuses = has(about.get(CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES));
    }

    /** The first camera that looks this way, else the first of all; null if the device has none. */
    static CameraChoice find(CameraManager manager, boolean facingUser) throws CameraAccessException {
        CameraChoice first = null;
        for (String id : manager.getCameraIdList()) {
            CameraChoice camera = new CameraChoice(id, manager.getCameraCharacteristics(id));
            if (camera.facesUser == facingUser) {
                return camera;
            }
            first = first == null ? camera : first;
        }
        return first;
    }

    private static List<int[]> sizes(Size[] sizes) {
        List<int[]> found = new ArrayList<>();
        for (Size size : sizes == null ? new Size[0] : sizes) {
            found.add(new int[] {size.getWidth(), size.getHeight()});
        }
        return found;
    }

    private static boolean has(int[] modes) {
        for (int mode : modes == null ? new int[0] : modes) {
            if (mode == CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_VIDEO) {
                return true;
            }
        }
        return false;
    }
}
