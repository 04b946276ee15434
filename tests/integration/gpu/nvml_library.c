/* A library with a few of NVML's functions, as NVIDIA's header declares them: one GPU of an older driver, which asks for a reset. */
#include <stdint.h>
#include <string.h>

#define SUCCESS 0
#define INVALID_ARGUMENT 2
#define NOT_SUPPORTED 3
#define INSUFFICIENT_SIZE 7

typedef void *device_t;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;
typedef struct {
    unsigned field, scope;
    int64_t timestamp, latency;
    int type, result;
    union { double number; unsigned value; unsigned long long large; } value;
} field_t;

static const device_t GPU = (device_t)0x1234;

int nvmlInitWithFlags(unsigned flags) { return SUCCESS; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "535.104.05", size); return SUCCESS; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12020; return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t *device) { *device = GPU; return SUCCESS; }
int nvmlDeviceGetUUID(device_t device, char *text, unsigned size) {
    if (device != GPU) return INVALID_ARGUMENT;
    strncpy(text, "GPU-11111111-2222-3333-4444-555555555555", size);
    return SUCCESS;
}
int nvmlDeviceGetName(device_t device, char *text, unsigned size) { strncpy(text, "NVIDIA RTX A5000", size); return SUCCESS; }
int nvmlDeviceGetCudaComputeCapability(device_t device, int *major, int *minor) { *major = 8; *minor = 6; return SUCCESS; }
int nvmlDeviceGetPciInfo_v3(device_t device, pci_t *pci) {
    memset(pci, 0, sizeof *pci);
    strcpy(pci->bus_id, "00000000:AF:00.0");
    return SUCCESS;
}
int nvmlDeviceGetComputeMode(device_t device, int *mode) { *mode = 0; return SUCCESS; }
int nvmlDeviceGetTotalEccErrors(device_t device, int kind, int counter, unsigned long long *count) { return NOT_SUPPORTED; }
int nvmlDeviceGetMemoryInfo_v2(device_t device, memory_t *memory) {
    memory->total = 24000000000, memory->reserved = 1000000000, memory->used = 3000000000, memory->free = 20000000000;
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(device_t device, unsigned *count, process_t *processes) {
    if (*count < 1) { *count = 1; return INSUFFICIENT_SIZE; }
    *count = 1;
    processes->pid = 77, processes->used = ~0ULL; /* not to be told */
    return SUCCESS;
}
int nvmlSystemGetProcessName(unsigned pid, char *text, unsigned size) { strncpy(text, "/usr/bin/python3", size); return SUCCESS; }
int nvmlDeviceGetMigMode(device_t device, unsigned *now, unsigned *next) { return NOT_SUPPORTED; }
int nvmlDeviceGetFieldValues(device_t device, int count, field_t *fields) {
    fields->result = SUCCESS, fields->value.value = 1;
    return SUCCESS;
}
