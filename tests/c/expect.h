// What the C tests say of a call: that it did what it should, or that it was refused for the right reason.

#ifndef EXPECT_H
#define EXPECT_H

#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <haltline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPECT(truth)                                                                                                  \
    do {                                                                                                               \
        if (!(truth)) {                                                                                                \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #truth);                                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

// The call succeeds.
#define OK(call) expect_status((call), HL_OK, "", #call, __FILE__, __LINE__)

// The call fails with this status, and its sentence contains these words.
#define REFUSED(call, status, words) expect_status((call), (status), (words), #call, __FILE__, __LINE__)

static inline void expect_status(hl_status got, hl_status wanted, const char *words, const char *call, const char *file,
                                 int line) {
    char sentence[2048] = "";
    if (got != HL_OK && hl_last_error(sentence, sizeof sentence, NULL) != HL_OK) {
        snprintf(sentence, sizeof sentence, "(the sentence is too long)");
    }
    if (got != wanted || strstr(sentence, words) == NULL) {
        fprintf(stderr, "%s:%d: %s\n    gave %s: %s\n    not %s with \"%s\"\n", file, line, call, hl_status_name(got),
                sentence, hl_status_name(wanted), words);
        exit(1);
    }
}

// Whether a text holds these words; prints it if not.
static inline bool holds(const char *text, const char *words) {
    if (strstr(text, words) == NULL) {
        fprintf(stderr, "no %s in: %s\n", words, text);
        return false;
    }
    return true;
}

// A supervisor that samples often.
static inline hl_supervisor *started(void) {
    hl_supervisor_options options = {.struct_size = sizeof options, .sample_interval_ms = 20, .settle_ms = 1};
    hl_supervisor *supervisor = NULL;
    OK(hl_supervisor_new(&options, &supervisor));
    return supervisor;
}

// Waits until this is the only thread: a thread that is leaving still holds memory.
static inline void alone(void) {
    struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000; i++) {
        int threads = 0;
        DIR *list = opendir("/proc/self/task");
        EXPECT(list != NULL);
        for (struct dirent *each; (each = readdir(list)) != NULL;) {
            threads += each->d_name[0] != '.';
        }
        closedir(list);
        if (threads == 1) {
            return;
        }
        nanosleep(&moment, NULL);
    }
    EXPECT(!"some thread stayed");
}

// Stops everything and frees the supervisor.
static inline void ended(hl_supervisor *supervisor) {
    OK(hl_supervisor_shutdown(supervisor, 30000, NULL));
    hl_supervisor_free(supervisor);
    alone();
}

// Puts a profile into the supervisor.
static inline void profile(hl_supervisor *supervisor, const char *name, const char *json) {
    const hl_profile *made = NULL;
    OK(hl_profile_parse(supervisor, name, strlen(name), json, strlen(json), &made));
    OK(hl_supervisor_insert_profile(supervisor, made, NULL));
    hl_profile_free(made);
}

#endif
