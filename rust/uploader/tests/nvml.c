/* A stand-in for NVML: two devices, of which the second one knows less. Layouts are those of nvml.h. */
#include <stdint.h>

typedef int status;
enum { SUCCESS = 0, NOT_SUPPORTED = 3 };
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory;

static int devices[2] = {0, 1};

static int number(void *device) { return (int)((int *)device - devices); }

status nvmlInit_v2(void) { return SUCCESS; }
status nvmlShutdown(void) { return SUCCESS; }
status nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return SUCCESS; }
status nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = &devices[index]; return SUCCESS; }

status nvmlDeviceGetUtilizationRates(void *device, utilization *found) {
    found->gpu = 90 + number(device);
    found->memory = 40;
    return SUCCESS;
}

status nvmlDeviceGetMemoryInfo_v2(void *device, memory *found) {
    if (number(device) == 1) return NOT_SUPPORTED;
    found->total = 1000;
    found->used = 250;
    found->free = 750;
    return SUCCESS;
}

status nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *found) { *found = 61; return SUCCESS; }
status nvmlDeviceGetPowerUsage(void *device, unsigned *found) { *found = 312500; return SUCCESS; }

status nvmlDeviceGetClockInfo(void *device, unsigned clock, unsigned *found) {
    *found = clock == 1 ? 1980 : clock == 2 ? 2619 : 0;
    return SUCCESS;
}
